// Consecutive pixels: the pixel list of base and dense passes, R pixels of the tile at a time.
//
// Contract (docs/model/passes.md): the lists need no decoding, so a round is ready
// in every cycle until the tile's pixels are used up. Same handover as a decoder's.
module consecutive_pixels #(
    parameter R = 16,
    parameter INDEX_BITS = 8
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    start,
    input  wire [INDEX_BITS:0]     pixels,        // of the tile
    input  wire                    take,
    output wire                    any,
    output wire [R*INDEX_BITS-1:0] indices,
    output wire [R-1:0]            valid
);
    reg [INDEX_BITS:0] next;                      // first pixel of the round to come
    reg [INDEX_BITS:0] held;                      // first pixel of the round that runs

    assign any = next < pixels;
    wire [INDEX_BITS:0] first = take ? next : held;

    genvar row;
    generate
        for (row = 0; row < R; row = row + 1) begin : pointer
            // One bit wider: the last round may reach behind the largest tile.
            wire [INDEX_BITS+1:0] pixel = first + row;
            assign indices[row*INDEX_BITS +: INDEX_BITS] = pixel[INDEX_BITS-1:0];
            assign valid[row] = pixel < pixels;
        end
    endgenerate

    always @(posedge clk) begin
        if (rst || start) begin
            next <= {(INDEX_BITS + 1){1'b0}};
            held <= {(INDEX_BITS + 1){1'b0}};
        end else if (take) begin
            // The round may end exactly at the top: what lies behind the tile need not be told apart.
            next <= (pixels - next > R) ? next + R : pixels;
            held <= next;
        end
    end
endmodule
