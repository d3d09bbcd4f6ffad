// Operand network: brings the words that the banks read to the pointers' line registers.
//
// Contract (docs/model/machine.md): each of R x J pointers takes a word of A int8 channels
// out of any of B banks, a B:1 multiplexer of 8A bits each, into the entry of its line register
// that the beat fills. All entries can be read; the array chooses (`reading`).
module operand_network #(
    parameter N = 16,                                // pointers: R x J
    parameter B = 16,
    parameter A = 4,
    parameter ENTRIES = 2,
    parameter BANK_BITS = B > 1 ? $clog2(B) : 1,
    parameter ENTRY_BITS = $clog2(ENTRIES)
) (
    input  wire                   clk,
    input  wire [N-1:0]           served,
    input  wire [N*BANK_BITS-1:0] banks,             // of the pointers' addresses
    input  wire [B*8*A-1:0]       words,             // what the banks read in this cycle
    input  wire [ENTRY_BITS-1:0]  filling,
    input  wire [ENTRY_BITS-1:0]  reading,
    output wire [N*8*A-1:0]       operands
);
    genvar pointer;
    generate
        for (pointer = 0; pointer < N; pointer = pointer + 1) begin : line_register
            reg [8*A-1:0] entries [0:ENTRIES-1];
            wire [BANK_BITS-1:0] bank = banks[pointer*BANK_BITS +: BANK_BITS];
            always @(posedge clk)
                if (served[pointer]) entries[filling] <= words[bank*8*A +: 8*A];
            assign operands[pointer*8*A +: 8*A] = entries[reading];
        end
    endgenerate
endmodule
