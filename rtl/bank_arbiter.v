// Bank arbiter: serves the pointers of beats, one distinct word per bank and cycle.
//
// Contract (docs/model/bank_conflicts.md, docs/model/run_ahead.md). bank = address mod B. In each
// cycle every bank turns to the oldest beat that waits for it, of the Q + 1 that it may serve. It
// reads the word of the first pointer that waits in that beat, and every pointer that waits in the
// same beat for the same address is served with it (multicast). Words of different beats are never
// merged. A beat's load is the cycles until nothing of it waits, if nothing was read before.
//
// The beat that runs is in place 0, the beats ahead in the places behind. `start` marks a beat's
// first cycle: the beats move up by one place, and the pointers in `valid` ask in the last one. With
// `first`, a round's first beat, they ask in all places. No pointer asks in a beat that is not
// `there`. Addresses of a beat stay as they are from its place to its `complete`, which says that
// nothing of the beat that runs waits after this cycle.
module bank_arbiter #(
    parameter N = 16,                        // pointers: R x J
    parameter B = 16,
    parameter Q = 0,                         // beats that banks may be ahead
    parameter ADDRESS_BITS = 16,
    parameter BANK_BITS = B > 1 ? $clog2(B) : 1,
    parameter ALL = (Q + 1) * N              // pointers of all beats, the one that runs first
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        first,     // `start` of a round's first beat
    input  wire                        start,
    input  wire                        enable,    // a beat is running
    input  wire [Q:0]                  there,
    input  wire [N-1:0]                valid,
    input  wire [ALL*ADDRESS_BITS-1:0] addresses,
    output reg  [ALL-1:0]              served,    // pointers whose word is read in this cycle
    output reg  [B-1:0]                reading,   // banks that read
    output reg  [(Q+1)*B-1:0]          reads,     // ... by the beat that they read for
    output reg  [B*ADDRESS_BITS-1:0]   words,     // and what
    output reg  [ALL*BANK_BITS-1:0]    banks,     // of the pointers' addresses
    output wire                        complete
);
    reg [ALL-1:0] waiting;
    reg [ALL-1:0] asking;

    // Loops, no assignment for each pointer: a simulator then looks at the banks less often.
    integer at;
    always @*
        for (at = 0; at < ALL; at = at + 1)
            banks[at*BANK_BITS +: BANK_BITS] = addresses[at*ADDRESS_BITS +: ADDRESS_BITS] % B;

    integer place;
    always @* begin
        asking = start ? waiting >> N : waiting;
        for (place = 0; place <= Q; place = place + 1)
            if (first || (start && place == Q))
                asking[place*N +: N] = there[place] ? valid : {N{1'b0}};
        if (!enable) asking = {ALL{1'b0}};
    end

    reg [ADDRESS_BITS-1:0] word;
    integer bank, beat, pointer, base;
    always @* begin
        served = {ALL{1'b0}};
        reading = {B{1'b0}};
        reads = {(Q+1)*B{1'b0}};
        words = {B*ADDRESS_BITS{1'b0}};
        for (bank = 0; bank < B; bank = bank + 1) begin
            word = {ADDRESS_BITS{1'b0}};
            base = 0;
            for (beat = 0; beat <= Q; beat = beat + 1)
                if (!reading[bank])  // no older beat waits for this bank
                    for (pointer = N - 1; pointer >= 0; pointer = pointer - 1)  // the first one wins
                        if (asking[beat*N + pointer]
                            && banks[(beat*N + pointer)*BANK_BITS +: BANK_BITS] == bank) begin
                            reading[bank] = 1'b1;
                            reads[beat*B + bank] = 1'b1;
                            base = beat * N;
                            word = addresses[(beat*N + pointer)*ADDRESS_BITS +: ADDRESS_BITS];
                        end
            words[bank*ADDRESS_BITS +: ADDRESS_BITS] = word;
            // An equal address is in this bank: nothing else needs comparing.
            for (pointer = 0; pointer < N; pointer = pointer + 1)
                if (asking[base + pointer] && reading[bank]
                    && addresses[(base + pointer)*ADDRESS_BITS +: ADDRESS_BITS] == word)
                    served[base + pointer] = 1'b1;
        end
    end

    assign complete = (asking[N-1:0] & ~served[N-1:0]) == 0;

    always @(posedge clk) begin
        if (rst) waiting <= {ALL{1'b0}};
        else waiting <= asking & ~served;
    end
endmodule
