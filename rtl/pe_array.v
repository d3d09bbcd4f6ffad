// PE array: R x C output-stationary PEs, int8 x int8 into 32 bits, accumulators in ping-pong.
//
// Contract (docs/model/machine.md): a step multiplies, in every PE, the activation byte of
// its row and lane group by the weight byte of its column. While one accumulator bank adds up, the
// other drains, one row of entries per cycle.
module pe_array #(
    parameter R = 16,
    parameter C = 16,
    parameter V = 8,
    parameter A = 4,
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
    input  wire [C*8-1:0]       weights,
    input  wire                 drain_bank,
    input  wire [ROW_BITS-1:0]  drain_row,
    output wire [C*32-1:0]      drained        // the row's entries
);
    wire [R*C*32-1:0] banks0, banks1;
    genvar row, column;
    generate
        for (column = 0; column < C; column = column + 1) begin : at_column
            for (row = 0; row < R; row = row + 1) begin : pe
                localparam POINTER = (column / V) * R + row;
                localparam PLACE = column * R + row;
                wire signed [7:0] activation = operands[(POINTER*A + step)*8 +: 8];
                wire signed [7:0] by = weights[column*8 +: 8];
                wire signed [15:0] product = activation * by;
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
