// Next beat: what the beat at a place of a pass is, and the place of the beat behind it.
//
// Contract (docs/model/run_ahead.md): input groups in ascending order, from the pass's first one to
// `last_group`, without `skip_group`; in each the taps; for each tap `full_beats` channel words of A
// steps and, if `short_steps` is not 0, one of that many. `offset` is what the beat adds to every
// pointer; places carry it along by adding alone. Behind a round's last beat is its first one. The
// first group is never `skip_group` and neither is the last.
//
// A place is, from its highest bits on: channel word, tap, group, offset of the group and offset of
// the channel word. No register is in here: chained copies look as many beats ahead.
module next_beat #(
    parameter A = 4,
    parameter MOST_TAPS = 9,
    parameter ADDRESS_BITS = 16,
    parameter GROUP_BITS = 4,
    parameter TAP_BITS = $clog2(MOST_TAPS + 1),
    parameter BEAT_BITS = 10,
    parameter STEP_BITS = $clog2(A + 1),
    parameter PLACE_BITS = BEAT_BITS + TAP_BITS + GROUP_BITS + 2 * ADDRESS_BITS
) (
    input  wire [GROUP_BITS-1:0]             last_group,
    input  wire                              skips,
    input  wire [GROUP_BITS-1:0]             skip_group,
    input  wire [TAP_BITS-1:0]               taps,
    input  wire [MOST_TAPS*ADDRESS_BITS-1:0] tap_offsets,
    input  wire [BEAT_BITS-1:0]              full_beats,
    input  wire [STEP_BITS-1:0]              short_steps,
    input  wire [ADDRESS_BITS-1:0]           pitch,
    input  wire [ADDRESS_BITS-1:0]           group_pitch,
    input  wire [PLACE_BITS-1:0]             first,    // place of a round's first beat
    input  wire [PLACE_BITS-1:0]             place,
    output wire [STEP_BITS-1:0]              steps,
    output wire [ADDRESS_BITS-1:0]           offset,
    output wire                              last,     // of the round
    output wire [PLACE_BITS-1:0]             next
);
    wire [BEAT_BITS-1:0]    word = place[PLACE_BITS-1 -: BEAT_BITS];
    wire [TAP_BITS-1:0]     tap = place[2*ADDRESS_BITS + GROUP_BITS +: TAP_BITS];
    wire [GROUP_BITS-1:0]   group = place[2*ADDRESS_BITS +: GROUP_BITS];
    wire [ADDRESS_BITS-1:0] group_offset = place[ADDRESS_BITS +: ADDRESS_BITS];
    wire [ADDRESS_BITS-1:0] word_offset = place[ADDRESS_BITS-1:0];

    wire is_short = word == full_beats;
    assign steps = is_short ? short_steps : A;
    assign offset = word_offset + tap_offsets[tap*ADDRESS_BITS +: ADDRESS_BITS];

    wire last_word = is_short || (short_steps == 0 && word + 1'b1 == full_beats);
    wire last_tap = tap + 1'b1 == taps;
    assign last = last_word && last_tap && group == last_group;

    wire skipping = skips && group + 1'b1 == skip_group;
    wire [GROUP_BITS-1:0] next_group = group + 1'b1 + skipping;
    wire [ADDRESS_BITS-1:0] next_offset =
        group_offset + group_pitch + (skipping ? group_pitch : {ADDRESS_BITS{1'b0}});
    wire [BEAT_BITS-1:0] next_word = word + 1'b1;
    wire [TAP_BITS-1:0] next_tap = tap + 1'b1;
    wire [ADDRESS_BITS-1:0] next_word_offset = word_offset + pitch;
    assign next =
        last ? first
        : !last_word ? {next_word, tap, group, group_offset, next_word_offset}
        : !last_tap ? {{BEAT_BITS{1'b0}}, next_tap, group, group_offset, group_offset}
        : {{BEAT_BITS{1'b0}}, {TAP_BITS{1'b0}}, next_group, next_offset, next_offset};
endmodule
