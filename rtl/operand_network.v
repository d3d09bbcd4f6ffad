// Operand network: brings the words that the banks read to the pointers' line registers.
//
// Contract (docs/model/machine.md, docs/model/run_ahead.md): each of R x J pointers takes a word of
// A int8 channels out of any of B banks, a B:1 multiplexer of 8A bits each, into the entry of its
// line register that the beat fills. Banks may be Q beats ahead: a pointer then takes up to Q + 1
// words in a cycle, of different banks, into different entries, that of the beat that runs
// (`filling`) and those behind it. All entries can be read; the array chooses (`reading`).
module operand_network #(
    parameter N = 16,                                // pointers: R x J
    parameter B = 16,
    parameter A = 4,
    parameter Q = 0,                                 // beats that banks may be ahead
    parameter ENTRIES = Q + 2,
    parameter BANK_BITS = B > 1 ? $clog2(B) : 1,
    parameter ENTRY_BITS = $clog2(ENTRIES),
    parameter ALL = (Q + 1) * N                      // pointers of all beats, the one that runs first
) (
    input  wire                     clk,
    input  wire [ALL-1:0]           served,
    input  wire [ALL*BANK_BITS-1:0] banks,           // of the pointers' addresses
    input  wire [B*8*A-1:0]         words,           // what the banks read in this cycle
    input  wire [ENTRY_BITS-1:0]    filling,
    input  wire [ENTRY_BITS-1:0]    reading,
    output wire [N*8*A-1:0]         operands
);
    genvar pointer, ahead;
    generate
        for (pointer = 0; pointer < N; pointer = pointer + 1) begin : line_register
            reg [8*A-1:0] entries [0:ENTRIES-1];
            for (ahead = 0; ahead <= Q; ahead = ahead + 1) begin : beat
                localparam AT = ahead * N + pointer;
                wire [BANK_BITS-1:0]  bank = banks[AT*BANK_BITS +: BANK_BITS];
                wire [ENTRY_BITS-1:0] entry =
                    filling < ENTRIES - ahead ? filling + ahead : filling + ahead - ENTRIES;
                always @(posedge clk)
                    if (served[AT]) entries[entry] <= words[bank*8*A +: 8*A];
            end
            assign operands[pointer*8*A +: 8*A] = entries[reading];
        end
    endgenerate
endmodule
