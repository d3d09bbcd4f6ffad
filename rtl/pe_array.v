// PE array: R x C output-stationary PEs, int8 x int8 into 32 bits, accumulators in ping-pong.
//
// Contract (docs/model/machine.md): a step multiplies, in every PE, the activation byte of
// its row and lane group by the weight byte of its column. While one accumulator bank adds up, the
// other drains, one row of entries per cycle.
//
// With SKIP (docs/model/zero_skipping.md) the weights are those of a beat, A for each column, and a
// step multiplies the next activation byte of the pointer that is not zero; each PE chooses the weight
// of its channel. Where a pointer has no such byte left its PEs add nothing.
module pe_array #(
    parameter R = 16,
    parameter C = 16,
    parameter V = 8,
    parameter A = 4,
    parameter SKIP = 0,
    parameter WEIGHTS = SKIP ? A : 1,          // of a column, in a word
    parameter J = (C + V - 1) / V,
    parameter STEP_BITS = $clog2(A + 1),
    parameter ROW_BITS = $clog2(R + 1)
) (
    input  wire                 clk,
    input  wire                 runs,
    input  wire                 first,         // of the round: begin from 0
    input  wire                 accumulator,   // bank that adds up
    input  wire [STEP_BITS-1:0] step,          // byte of the operands
    input  wire [R*J*8*A-1:0]   operands,      // words of the pointers, lane group by lane group
    input  wire [C*WEIGHTS*8-1:0] weights,     // column by column
    input  wire                 drain_bank,
    input  wire [ROW_BITS-1:0]  drain_row,
    output wire [C*32-1:0]      drained        // the row's entries
);
    wire [R*C*32-1:0] banks0, banks1;
    wire [R*J-1:0]           any;              // pointers that have an operand
    wire [R*J*STEP_BITS-1:0] chosen;           // and its channel
    genvar pointer, row, column;
    generate
        for (pointer = 0; pointer < R * J; pointer = pointer + 1) begin : at_pointer
            if (SKIP) begin : skip
                next_operand #(.A(A)) operand (
                    .clk(clk), .runs(runs), .begins(step == 0),
                    .word(operands[pointer*8*A +: 8*A]), .any(any[pointer]),
                    .channel(chosen[pointer*STEP_BITS +: STEP_BITS]));
            end else begin : all
                assign any[pointer] = 1'b1;
                assign chosen[pointer*STEP_BITS +: STEP_BITS] = step;
            end
        end
        for (column = 0; column < C; column = column + 1) begin : at_column
            for (row = 0; row < R; row = row + 1) begin : pe
                localparam POINTER = (column / V) * R + row;
                localparam PLACE = column * R + row;
                wire [STEP_BITS-1:0] channel = chosen[POINTER*STEP_BITS +: STEP_BITS];
                wire signed [7:0] activation = operands[(POINTER*A + channel)*8 +: 8];
                wire signed [7:0] by = weights[(column*WEIGHTS + (SKIP ? channel : 0))*8 +: 8];
                wire signed [15:0] product = any[POINTER] ? activation * by : 16'sd0;
                reg signed [31:0] sum0, sum1;
                always @(posedge clk) begin
                    if (runs && !accumulator) sum0 <= (first ? 32'sd0 : sum0) + product;
                    if (runs && accumulator) sum1 <= (first ? 32'sd0 : sum1) + product;
                end
                assign banks0[PLACE*32 +: 32] = sum0;
                assign banks1[PLACE*32 +: 32] = sum1;
            end
            assign drained[column*32 +: 32] = drain_bank
                ? banks1[(column*R + drain_row)*32 +: 32] : banks0[(column*R + drain_row)*32 +: 32];
        end
    endgenerate
endmodule
