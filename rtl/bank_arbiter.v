// Bank arbiter: serves the pointers of one beat, one distinct word per bank and cycle.
//
// Contract (docs/model/bank_conflicts.md). bank = address mod B. In each cycle every bank
// reads the word of its first waiting pointer, and every pointer that waits for the same address
// is served with it (multicast). A beat's load is the cycles until nothing waits.
//
// `start` marks a beat's first cycle: the pointers in `valid` ask in that same cycle. Addresses stay
// as they are until `complete`, which says that nothing waits after this cycle.
module bank_arbiter #(
    parameter N = 16,                        // pointers: R x J
    parameter B = 16,
    parameter ADDRESS_BITS = 16,
    parameter BANK_BITS = B > 1 ? $clog2(B) : 1
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      start,
    input  wire                      enable,    // a beat is running
    input  wire [N-1:0]              valid,
    input  wire [N*ADDRESS_BITS-1:0] addresses,
    output reg  [N-1:0]              served,    // pointers whose word is read in this cycle
    output reg  [B-1:0]              reading,   // banks that read
    output reg  [B*ADDRESS_BITS-1:0] words,     // and what
    output wire [N*BANK_BITS-1:0]    banks,     // of the pointers' addresses
    output wire                      complete
);
    reg  [N-1:0] waiting;
    wire [N-1:0] asking = !enable ? {N{1'b0}} : start ? valid : waiting;

    genvar at;
    generate
        for (at = 0; at < N; at = at + 1) begin : pointer_bank
            assign banks[at*BANK_BITS +: BANK_BITS] = addresses[at*ADDRESS_BITS +: ADDRESS_BITS] % B;
        end
    endgenerate

    reg [ADDRESS_BITS-1:0] word;
    integer bank, pointer;
    always @* begin
        served = {N{1'b0}};
        reading = {B{1'b0}};
        words = {B*ADDRESS_BITS{1'b0}};
        for (bank = 0; bank < B; bank = bank + 1) begin
            word = {ADDRESS_BITS{1'b0}};
            for (pointer = N - 1; pointer >= 0; pointer = pointer - 1)  // the first one wins
                if (asking[pointer] && banks[pointer*BANK_BITS +: BANK_BITS] == bank) begin
                    reading[bank] = 1'b1;
                    word = addresses[pointer*ADDRESS_BITS +: ADDRESS_BITS];
                end
            words[bank*ADDRESS_BITS +: ADDRESS_BITS] = word;
            // An equal address is in this bank: nothing else needs comparing.
            for (pointer = 0; pointer < N; pointer = pointer + 1)
                if (asking[pointer] && reading[bank]
                    && addresses[pointer*ADDRESS_BITS +: ADDRESS_BITS] == word)
                    served[pointer] = 1'b1;
        end
    end

    assign complete = (asking & ~served) == 0;

    always @(posedge clk) begin
        if (rst) waiting <= {N{1'b0}};
        else waiting <= asking & ~served;
    end
endmodule
