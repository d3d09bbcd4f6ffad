// Beat length: the steps of the beat that runs, from the words that the banks read for it.
//
// Contract (docs/model/zero_skipping.md): n = max(1, largest number of channels of any pointer's word
// that are not zero). Every pointer's word is one that a bank reads, and a bank reads in a cycle for
// one beat: so the banks' words are counted, B of them, not the pointers'. A word says it in the
// cycle in which it is read; `length` is that of all words up to this cycle, and n when none is
// waited for. Words that banks read ahead (docs/model/run_ahead.md) wait with their beat: as in the
// arbiter the beats move up by one place at `start`, and a round's `first` forgets what was.
//
// Channels that a group has not, in its last word, are zeros in the buffer.
module beat_length #(
    parameter A = 4,
    parameter B = 16,
    parameter Q = 0,                        // beats that banks may be ahead
    parameter STEP_BITS = $clog2(A + 1)
) (
    input  wire                 clk,
    input  wire                 first,
    input  wire                 start,
    input  wire [(Q+1)*B-1:0]   reads,      // banks that read, by the beat they read for
    input  wire [B*A-1:0]       nonzero,    // channels of the banks' words
    output reg  [STEP_BITS-1:0] length
);
    reg [(Q+1)*STEP_BITS-1:0] before;       // most channels of each beat's words, up to this cycle
    reg [(Q+1)*STEP_BITS-1:0] most;         // ... with this cycle's

    reg [STEP_BITS-1:0] channels, longest;
    integer bank, beat, channel;
    always @* begin
        most = first ? {(Q+1)*STEP_BITS{1'b0}} : start ? before >> STEP_BITS : before;
        for (bank = 0; bank < B; bank = bank + 1) begin
            channels = {STEP_BITS{1'b0}};
            for (channel = 0; channel < A; channel = channel + 1)
                channels = channels + nonzero[bank*A + channel];
            for (beat = 0; beat <= Q; beat = beat + 1) begin
                longest = most[beat*STEP_BITS +: STEP_BITS];
                if (reads[beat*B + bank] && channels > longest)
                    most[beat*STEP_BITS +: STEP_BITS] = channels;
            end
        end
        length = most[STEP_BITS-1:0];
        if (length == 0) length = 1;
    end

    always @(posedge clk) before <= most;
endmodule
