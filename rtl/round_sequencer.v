// Round sequencer: plays one pass of a tile, round after round, beat after beat, step after step.
//
// Contract (docs/model/passes.md). A round starts in the cycle in
// which `ready` says that every list's buffer is full or its list scanned to the end, and takes the
// buffers over in that cycle. A beat runs s steps and fetches its words beside them; it ends when
// both have. Beside a round the other accumulator bank drains for R cycles; a round ends when its
// beats and the drain have. When the lists hold nothing more, a last drain of R cycles ends the
// pass; a pass without a round ends with no drain.
//
// Run-ahead (docs/model/run_ahead.md): beside the beat that runs, the sequencer announces the Q
// beats behind it, in each cycle anew: `next_beat` in a chain from the place of the running one. So
// a round's first cycle has the offsets of its first Q + 1 beats. `there` says which of the beats
// the round has: the one that runs, and those ahead of it up to the round's last.
//
// With SKIP (docs/model/zero_skipping.md) a beat's steps are its `length`, which grows as its words
// are read and is right when all are: a beat does not end before. So it is only at a beat's end that
// it is told how many of its cycles were steps; until then `stepping` and `bank_stall` together say
// that a beat runs, and which of the two it is goes by what has been read.
module round_sequencer #(
    parameter R = 16,
    parameter A = 4,
    parameter Q = 0,                               // beats that banks may be ahead
    parameter SKIP = 0,                            // steps in which no pointer has an operand
    parameter MOST_TAPS = 9,
    parameter ADDRESS_BITS = 16,
    parameter GROUP_BITS = 4,
    parameter TAP_BITS = $clog2(MOST_TAPS + 1),
    parameter BEAT_BITS = 10,
    parameter STEP_BITS = $clog2(A + 1),
    parameter ROW_BITS = $clog2(R + 1)
) (
    input  wire                          clk,
    input  wire                          rst,
    input  wire                          start,         // the pass begins in the next cycle
    // The pass; stable while it is active.
    input  wire [GROUP_BITS-1:0]         first_group,
    input  wire [GROUP_BITS-1:0]         last_group,
    input  wire                          skips,
    input  wire [GROUP_BITS-1:0]         skip_group,
    input  wire [TAP_BITS-1:0]           taps,
    input  wire [MOST_TAPS*ADDRESS_BITS-1:0] tap_offsets,
    input  wire [BEAT_BITS-1:0]          full_beats,    // of an input group and tap
    input  wire [STEP_BITS-1:0]          short_steps,
    input  wire [ADDRESS_BITS-1:0]       pitch,         // from one channel word to the next
    input  wire [ADDRESS_BITS-1:0]       group_pitch,   // from one input group to the next
    input  wire [ADDRESS_BITS-1:0]       first_offset,  // of the first group
    // The pixel lists.
    input  wire                          ready,
    input  wire                          any,
    output wire                          take,          // a round's first cycle
    // The arbiter.
    output wire                          beat_start,
    output wire                          beat_runs,
    output wire [Q:0]                    there,         // the beat that runs in place 0
    output wire [(Q+1)*ADDRESS_BITS-1:0] offsets,
    input  wire                          fetched,       // no pointer waits for it after this cycle
    input  wire [STEP_BITS-1:0]          length,        // SKIP: of the beat, by the words read so far
    // What the datapath follows.
    output wire                          beat_ends,     // with this cycle
    output wire [STEP_BITS-1:0]          steps,         // of the beat
    output wire [STEP_BITS-1:0]          skipped,       // ... that it would have besides
    output wire                          beats_end,     // the beat is the round's last
    output wire                          drain_starts,  // of the round before; with this cycle
    // What the cycle is spent on: at most one of these.
    output wire                          stepping,
    output wire                          bank_stall,
    output wire                          draining,
    output wire                          decode_stall,
    output wire                          active         // 0 when the pass has ended
);
    localparam PLACE_BITS = BEAT_BITS + TAP_BITS + GROUP_BITS + 2 * ADDRESS_BITS;

    reg                    running;
    reg                    in_round;
    reg                    beats_ended;           // those of this round
    reg                    had_round;
    reg                    in_last_drain;
    reg [ROW_BITS-1:0]     drained;
    reg                    begun;                 // the beat has run a cycle
    reg [STEP_BITS-1:0]    step;                  // stays at all steps while words are awaited
    reg [PLACE_BITS-1:0]   place;                 // of the beat

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

    wire [PLACE_BITS-1:0] first_place =
        {{BEAT_BITS{1'b0}}, {TAP_BITS{1'b0}}, first_group, first_offset, first_offset};
    wire [(Q+1)*STEP_BITS-1:0]  steps_of;
    wire [Q:0]                  last;
    wire [(Q+2)*PLACE_BITS-1:0] places;
    assign places[PLACE_BITS-1:0] = place;
    genvar ahead;
    generate
        for (ahead = 0; ahead <= Q; ahead = ahead + 1) begin : beat
            if (ahead == 0) begin : running_one
                assign there[ahead] = 1'b1;
            end else begin : further_one
                assign there[ahead] = there[ahead-1] && !last[ahead-1];
            end
            next_beat #(
                .A(A), .MOST_TAPS(MOST_TAPS), .ADDRESS_BITS(ADDRESS_BITS),
                .GROUP_BITS(GROUP_BITS), .BEAT_BITS(BEAT_BITS)
            ) here (
                .last_group(last_group), .skips(skips), .skip_group(skip_group), .taps(taps),
                .tap_offsets(tap_offsets), .full_beats(full_beats), .short_steps(short_steps),
                .pitch(pitch), .group_pitch(group_pitch), .first(first_place),
                .place(places[ahead*PLACE_BITS +: PLACE_BITS]),
                .steps(steps_of[ahead*STEP_BITS +: STEP_BITS]),
                .offset(offsets[ahead*ADDRESS_BITS +: ADDRESS_BITS]), .last(last[ahead]),
                .next(places[(ahead+1)*PLACE_BITS +: PLACE_BITS]));
        end
    endgenerate

    wire [STEP_BITS-1:0] all_steps = steps_of[STEP_BITS-1:0];
    assign steps = SKIP ? length : all_steps;
    assign skipped = all_steps - steps;
    assign beat_runs = round_runs && !beats_ended;
    assign beat_start = beat_runs && !begun;
    assign stepping = beat_runs && step < steps;
    assign bank_stall = beat_runs && step >= steps;
    wire steps_end = step >= steps || step + 1'b1 == steps;
    assign beat_ends = beat_runs && steps_end && fetched;
    assign beats_end = beat_ends && last[0];

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
            place <= first_place;
        end else begin
            if (round_ends) had_round <= 1'b1;
            beats_ended <= (beats_ended || beats_end) && !round_ends;
            if (round_ends) drained <= {ROW_BITS{1'b0}};
            else if ((round_runs || in_drain) && !drain_ended) drained <= drained + 1'b1;

            if (beat_runs) begun <= !beat_ends;
            if (beat_ends) step <= {STEP_BITS{1'b0}};
            else if (beat_runs && step != all_steps) step <= step + 1'b1;
            // Back at the first beat when a round's beats have ended.
            if (beat_ends) place <= places[PLACE_BITS +: PLACE_BITS];
        end
    end
endmodule
