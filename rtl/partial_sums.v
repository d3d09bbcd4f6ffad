// Partial sums of a tile, their comparators and the index memory that these write.
//
// Contract (docs/model/passes.md, docs/model/index_decoder.md): a column's drained entry goes
// to the pixel that its lane group's list names, at most one per column and cycle. The base pass
// writes, the conditional pass adds. On the entries that the base pass drains the comparators
// decide y > theta: a bit per column, and per lane group the OR of its lanes, which is the list that
// a decoder scans. Where a lane's own bit is 0 it keeps its base sum.
module partial_sums #(
    parameter C = 16,
    parameter V = 8,
    parameter P = 256,
    parameter LIST_BITS = 256,                    // words of a list * W
    parameter INDEX_BITS = 8,
    parameter J = (C + V - 1) / V
) (
    input  wire                    clk,
    input  wire                    clear_lists,
    input  wire                    adds,          // 0: the base pass writes and decides
    input  wire [J-1:0]            valid,         // lane groups whose row holds a pixel
    input  wire [J*INDEX_BITS-1:0] pixels,        // and which
    input  wire [C*32-1:0]         entries,
    input  wire [C*32-1:0]         thresholds,
    input  wire [C-1:0]            columns,       // that the tile has
    input  wire [INDEX_BITS-1:0]   read_pixel,    // the output stage's
    output wire [C*32-1:0]         sums,
    output reg  [J*LIST_BITS-1:0]  lists
);
    wire [C-1:0] decisions;
    genvar column;
    generate
        for (column = 0; column < C; column = column + 1) begin : bank
            reg signed [31:0] held [0:P-1];
            reg [P-1:0] mask;
            wire [INDEX_BITS-1:0] pixel = pixels[(column/V)*INDEX_BITS +: INDEX_BITS];
            wire signed [31:0] entry = entries[column*32 +: 32];
            wire signed [31:0] threshold = thresholds[column*32 +: 32];
            assign decisions[column] = columns[column] && entry > threshold;
            assign sums[column*32 +: 32] = held[read_pixel];
            always @(posedge clk)
                if (valid[column/V]) begin
                    if (!adds) begin
                        held[pixel] <= entry;
                        mask[pixel] <= decisions[column];
                    end else if (mask[pixel]) held[pixel] <= held[pixel] + entry;
                end
        end
    endgenerate

    integer j, lane;
    always @(posedge clk) begin
        if (clear_lists) lists <= {J*LIST_BITS{1'b0}};
        else if (!adds)
            for (j = 0; j < J; j = j + 1)
                for (lane = j * V; lane < j * V + V && lane < C; lane = lane + 1)
                    if (valid[j] && decisions[lane])
                        lists[j*LIST_BITS + pixels[j*INDEX_BITS +: INDEX_BITS]] <= 1'b1;
    end
endmodule
