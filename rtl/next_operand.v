// Next operand: which channel of its word a pointer's PEs multiply in this step.
//
// Contract (docs/model/zero_skipping.md): step by step the next channel that is not zero; when none
// is left the PEs have nothing to do, and wait for the pointer with the most.
module next_operand #(
    parameter A = 4,
    parameter STEP_BITS = $clog2(A + 1)
) (
    input  wire                 clk,
    input  wire                 runs,       // a step
    input  wire                 begins,     // the beat's first
    input  wire [8*A-1:0]       word,
    output reg                  any,
    output reg  [STEP_BITS-1:0] channel
);
    reg [A-1:0] left;                       // channels that later steps take
    reg [A-1:0] here;
    integer at;
    always @* begin
        here = left;
        if (begins)
            for (at = 0; at < A; at = at + 1) here[at] = |word[at*8 +: 8];
        any = |here;
        channel = {STEP_BITS{1'b0}};
        for (at = A - 1; at >= 0; at = at - 1)
            if (here[at]) channel = at;     // the first one wins
    end

    always @(posedge clk) if (runs) left <= here & (here - 1'b1);
endmodule
