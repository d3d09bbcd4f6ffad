// Round sequencer: plays one pass of a tile, round after round, beat after beat, step after step.
//
// Contract (docs/model/passes.md). A round starts in the cycle in
// which `ready` says that every list's buffer is full or its list scanned to the end, and takes the
// buffers over in that cycle. A beat runs s steps and fetches its words beside them; it ends when
// both have. Beside a round the other accumulator bank drains for R cycles; a round ends when its
// beats and the drain have. When the lists hold nothing more, a last drain of R cycles ends the
// pass; a pass without a round ends with no drain.
//
// Beats of a pass: for every input group from the first one to `last_group`, without `skip_group`;
// for every tap; `full_beats` beats of A steps and, if `short_steps` is not 0, one of that many.
// `offset` is what the beat adds to every pointer; it is kept by adding alone. The first group is
// never `skip_group` and neither is the last.
module round_sequencer #(
    parameter R = 16,
    parameter A = 4,
    parameter ADDRESS_BITS = 16,
    parameter GROUP_BITS = 4,
    parameter TAP_BITS = 5,
    parameter BEAT_BITS = 10,
    parameter STEP_BITS = $clog2(A + 1),
    parameter ROW_BITS = $clog2(R + 1)
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    start,         // the pass begins in the next cycle
    // The pass; stable while it is active.
    input  wire [GROUP_BITS-1:0]   first_group,
    input  wire [GROUP_BITS-1:0]   last_group,
    input  wire                    skips,
    input  wire [GROUP_BITS-1:0]   skip_group,
    input  wire [TAP_BITS-1:0]     taps,
    input  wire [BEAT_BITS-1:0]    full_beats,    // of an input group and tap
    input  wire [STEP_BITS-1:0]    short_steps,
    input  wire [ADDRESS_BITS-1:0] pitch,         // from one channel word to the next
    input  wire [ADDRESS_BITS-1:0] group_pitch,   // from one input group to the next
    input  wire [ADDRESS_BITS-1:0] first_offset,  // of the first group
    output wire [TAP_BITS-1:0]     tap,
    input  wire [ADDRESS_BITS-1:0] tap_offset,    // of `tap`
    // The pixel lists.
    input  wire                    ready,
    input  wire                    any,
    output wire                    take,
    // The arbiter.
    output wire                    beat_start,
    output wire                    beat_runs,
    output wire [ADDRESS_BITS-1:0] offset,
    input  wire                    fetched,       // no pointer waits after this cycle
    // What the datapath follows.
    output wire                    beat_ends,     // with this cycle
    output wire [STEP_BITS-1:0]    steps,         // of the beat
    output wire                    beats_end,     // the beat is the round's last
    output wire                    drain_starts,  // of the round before; with this cycle
    // What the cycle is spent on: at most one of these.
    output wire                    stepping,
    output wire                    bank_stall,
    output wire                    draining,
    output wire                    decode_stall,
    output wire                    active         // 0 when the pass has ended
);
    reg                    running;
    reg                    in_round;
    reg                    beats_ended;           // those of this round
    reg                    had_round;
    reg                    in_last_drain;
    reg [ROW_BITS-1:0]     drained;
    reg                    begun;                 // the beat has run a cycle
    reg [STEP_BITS-1:0]    step;                  // stays at the beat's steps while words are awaited
    reg [BEAT_BITS-1:0]    beat;
    reg [TAP_BITS-1:0]     tap_at;
    reg [GROUP_BITS-1:0]   group;
    reg [ADDRESS_BITS-1:0] group_offset;
    reg [ADDRESS_BITS-1:0] word_offset;

    // Nothing holds a round back but the lists: it begins in the cycle that finds them ready.
    wire free = running && !in_round && !in_last_drain;
    wire found_end = free && ready && !any;
    // Lists that hold nothing are seen behind the pass's last cycle: their decoding was all of it.
    wire found_nothing = found_end && !had_round;
    assign active = running && !found_nothing;
    wire in_drain = in_last_drain || (found_end && had_round);
    wire round_runs = in_round || take;
    assign take = free && ready && any;
    assign drain_starts = had_round && (take || found_end);
    assign decode_stall = free && !ready;

    wire is_short = beat == full_beats;
    assign steps = is_short ? short_steps : A;
    assign beat_runs = round_runs && !beats_ended;
    assign beat_start = beat_runs && !begun;
    assign stepping = beat_runs && step != steps;
    assign bank_stall = beat_runs && step == steps;
    wire steps_end = step == steps || step + 1'b1 == steps;
    assign beat_ends = beat_runs && steps_end && fetched;

    wire last_beat = is_short || (short_steps == 0 && beat + 1'b1 == full_beats);
    wire last_tap = tap_at + 1'b1 == taps;
    wire tap_ends = beat_ends && last_beat;
    wire group_ends = tap_ends && last_tap;
    assign beats_end = group_ends && group == last_group;
    wire skipping = skips && group + 1'b1 == skip_group;
    wire [ADDRESS_BITS-1:0] next_group_offset =
        group_offset + group_pitch + (skipping ? group_pitch : {ADDRESS_BITS{1'b0}});
    assign tap = tap_at;
    assign offset = word_offset + tap_offset;

    wire last_row = drained == R - 1;
    wire drain_ended = drained == R;
    wire round_ends = round_runs && (beats_ended || beats_end) && (drain_ended || last_row);
    wire drain_ends = in_drain && last_row;
    assign draining = (round_runs && beats_ended) || in_drain;

    always @(posedge clk) begin
        if (rst) begin
            running <= 1'b0;
            in_round <= 1'b0;
            in_last_drain <= 1'b0;
        end else if (start) begin
            running <= 1'b1;
            in_round <= 1'b0;
            in_last_drain <= 1'b0;
        end else begin
            if (drain_ends || found_nothing) running <= 1'b0;
            in_round <= round_runs && !round_ends;
            in_last_drain <= in_drain && !drain_ends;
        end
    end

    always @(posedge clk) begin
        if (rst || start) begin
            had_round <= 1'b0;
            beats_ended <= 1'b0;
            drained <= {ROW_BITS{1'b0}};
            begun <= 1'b0;
            step <= {STEP_BITS{1'b0}};
            beat <= {BEAT_BITS{1'b0}};
            tap_at <= {TAP_BITS{1'b0}};
            group <= first_group;
            group_offset <= first_offset;
            word_offset <= first_offset;
        end else begin
            if (round_ends) had_round <= 1'b1;
            beats_ended <= (beats_ended || beats_end) && !round_ends;
            if (round_ends) drained <= {ROW_BITS{1'b0}};
            else if ((round_runs || in_drain) && !drain_ended) drained <= drained + 1'b1;

            if (beat_runs) begun <= !beat_ends;
            if (beat_ends) step <= {STEP_BITS{1'b0}};
            else if (stepping) step <= step + 1'b1;
            // The counters are back at the first beat when a round's beats have ended.
            if (beat_ends) begin
                beat <= last_beat ? {BEAT_BITS{1'b0}} : beat + 1'b1;
                word_offset <= word_offset + pitch;
            end
            if (tap_ends) begin
                tap_at <= last_tap ? {TAP_BITS{1'b0}} : tap_at + 1'b1;
                word_offset <= group_offset;
            end
            if (group_ends) begin
                group <= group + 1'b1 + skipping;
                group_offset <= next_group_offset;
                word_offset <= next_group_offset;
            end
            if (beats_end) begin
                group <= first_group;
                group_offset <= first_offset;
                word_offset <= first_offset;
            end
        end
    end
endmodule
