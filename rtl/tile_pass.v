// Tile pass: one pass of one tile, on pixel lists that are decoded or consecutive.
//
// Contract (docs/model/passes.md): J = ceil(C/V) lane groups, a decoder each, or one that serves
// them in lane-group order (SHARED); a sequencer whose rounds start when all lists are ready; an
// arbiter over R x J pointers, and over as many for each of the Q beats that banks may be ahead
// (docs/model/run_ahead.md). `stepping`, `bank_stall`, `draining` and `decode_stall` say what a
// cycle is spent on; the pass has taken as many cycles as they were 1, together.
//
// `lists` is the index memory, one list of WORDS words per lane group, 0 behind the last pixel. The
// tile's pixel addresses are a table: their arithmetic is the address generator's, not modelled.
// A `window` other than 0 keeps the lists of a decoded pass together (docs/model/window.md).
// With SKIP the steps of a beat are as many as its words need (docs/model/zero_skipping.md), and which
// cycles of a beat were steps is told at its end, by `beat_steps`. Without it nobody asks `nonzero`.
// A lane group that the tile does not have is 0 in `lane_groups`. With SHARED the decoders' states
// take turns at what would be one decoder: the cycles are those of one, the gates are not.
module tile_pass #(
    parameter R = 16,
    parameter C = 16,
    parameter V = 8,
    parameter E = 1,
    parameter W = 32,
    parameter A = 4,
    parameter B = 16,
    parameter Q = 0,                              // beats that banks may be ahead
    parameter P = 256,                            // most pixels of a tile
    parameter SHARED = 0,
    parameter SKIP = 0,
    parameter MOST_TAPS = 9,
    parameter ADDRESS_BITS = 16,
    parameter GROUP_BITS = 4,
    parameter TAP_BITS = $clog2(MOST_TAPS + 1),
    parameter BEAT_BITS = 10,
    parameter STEP_BITS = $clog2(A + 1),
    parameter J = (C + V - 1) / V,
    parameter N = R * J,
    parameter ALL = (Q + 1) * N,
    parameter WORDS = (P + W - 1) / W,
    parameter INDEX_BITS = $clog2(WORDS * W),
    parameter WORD_BITS = $clog2(WORDS + 1),
    parameter BANK_BITS = B > 1 ? $clog2(B) : 1
) (
    input  wire                              clk,
    input  wire                              rst,
    input  wire                              start,
    input  wire                              decoded,         // 0: consecutive pixels
    input  wire [INDEX_BITS:0]               pixels,
    input  wire [WORD_BITS-1:0]              words,           // ceil(pixels / W)
    input  wire [J-1:0]                      lane_groups,
    input  wire [INDEX_BITS:0]               window,          // 0: none
    input  wire [J*WORDS*W-1:0]              lists,
    input  wire [(1 << INDEX_BITS)*ADDRESS_BITS-1:0] pixel_addresses,
    input  wire [GROUP_BITS-1:0]             first_group,
    input  wire [GROUP_BITS-1:0]             last_group,
    input  wire                              skips,
    input  wire [GROUP_BITS-1:0]             skip_group,
    input  wire [TAP_BITS-1:0]               taps,
    input  wire [MOST_TAPS*ADDRESS_BITS-1:0] tap_offsets,
    input  wire [BEAT_BITS-1:0]              full_beats,
    input  wire [STEP_BITS-1:0]              short_steps,
    input  wire [ADDRESS_BITS-1:0]           pitch,
    input  wire [ADDRESS_BITS-1:0]           group_pitch,
    input  wire [ADDRESS_BITS-1:0]           first_offset,
    input  wire [B*A-1:0]                    nonzero,         // channels of the words read now
    output wire                              active,
    output wire                              take,            // a round starts
    output wire                              stepping,
    output wire                              bank_stall,
    output wire                              draining,
    output wire                              decode_stall,
    output wire [J-1:0]                      decoding,        // decoders that work
    output wire [N-1:0]                      round_valid,     // pointers that have a pixel
    output wire [N*INDEX_BITS-1:0]           round_indices,   // and which
    output wire [ALL-1:0]                    served,          // line entries filled, beat by beat
    output wire [B-1:0]                      reading,         // banks that read a word
    output wire [B*ADDRESS_BITS-1:0]         bank_words,
    output wire [ALL*BANK_BITS-1:0]          banks,           // of the pointers
    output wire                              beat_ends,       // what the datapath follows
    output wire [STEP_BITS-1:0]              beat_steps,
    output wire [STEP_BITS-1:0]              beat_skipped,
    output wire                              beats_end,
    output wire                              drain_starts
);
    wire [J-1:0]              list_ready;
    wire [J-1:0]              list_done;
    wire [J-1:0]              list_any;
    wire [J*INDEX_BITS-1:0]   list_first;
    wire [INDEX_BITS+1:0]     limit;
    wire                      consecutive_any;
    wire [R*INDEX_BITS-1:0]   consecutive_indices;
    wire [R-1:0]              consecutive_valid;
    wire                      ready = !decoded || &list_ready;
    wire                      any = decoded ? |list_any : consecutive_any;
    wire                      beat_start;
    wire                      beat_runs;
    wire                      fetched;
    wire [STEP_BITS-1:0]      length;
    wire [(Q+1)*B-1:0]        reads;
    wire [Q:0]                there;
    wire [(Q+1)*ADDRESS_BITS-1:0] offsets;
    wire [N*ADDRESS_BITS-1:0] round_addresses;   // of the pointers' pixels
    reg  [ALL*ADDRESS_BITS-1:0] addresses;       // beat by beat

    consecutive_pixels #(.R(R), .INDEX_BITS(INDEX_BITS)) consecutive (
        .clk(clk), .rst(rst), .start(start), .pixels(pixels), .take(take && !decoded),
        .any(consecutive_any), .indices(consecutive_indices), .valid(consecutive_valid));

    round_window #(.J(J), .INDEX_BITS(INDEX_BITS)) nearest (
        .window(window), .any(list_any), .first(list_first), .limit(limit));

    genvar j, row;
    generate
        for (j = 0; j < J; j = j + 1) begin : lane_group
            wire [WORD_BITS-1:0]    word_address;
            wire [R*INDEX_BITS-1:0] indices;
            wire [R-1:0]            valid;
            wire                    turn;
            if (SHARED && j > 0) begin : shared
                assign turn = &list_done[j-1:0];    // of this slot; a handover begins a slot
            end else begin : own
                assign turn = 1'b1;
            end
            bitmap_decoder #(
                .R(R), .W(W), .E(E), .WORDS(WORDS), .INDEX_BITS(INDEX_BITS), .WORD_BITS(WORD_BITS)
            ) decoder (
                .clk(clk), .rst(rst), .start(start && decoded && lane_groups[j]), .words(words),
                .enable(turn), .word_address(word_address),
                .word(lists[(j*WORDS + word_address)*W +: W]),
                .ready(list_ready[j]), .ended(), .any(list_any[j]),
                .first(list_first[j*INDEX_BITS +: INDEX_BITS]), .working(decoding[j]),
                .done(list_done[j]), .take(take && decoded), .limited(window != 0), .limit(limit),
                .indices(indices), .valid(valid));
            for (row = 0; row < R; row = row + 1) begin : pointer
                localparam AT = j * R + row;
                wire [INDEX_BITS-1:0] pixel = decoded ? indices[row*INDEX_BITS +: INDEX_BITS]
                    : consecutive_indices[row*INDEX_BITS +: INDEX_BITS];
                assign round_valid[AT] =
                    lane_groups[j] && (decoded ? valid[row] : consecutive_valid[row]);
                assign round_indices[AT*INDEX_BITS +: INDEX_BITS] = pixel;
                assign round_addresses[AT*ADDRESS_BITS +: ADDRESS_BITS] =
                    pixel_addresses[pixel*ADDRESS_BITS +: ADDRESS_BITS];
            end
        end
    endgenerate

    integer ahead, at;
    always @*
        for (ahead = 0; ahead <= Q; ahead = ahead + 1)
            for (at = 0; at < N; at = at + 1)
                addresses[(ahead*N + at)*ADDRESS_BITS +: ADDRESS_BITS] =
                    round_addresses[at*ADDRESS_BITS +: ADDRESS_BITS]
                    + offsets[ahead*ADDRESS_BITS +: ADDRESS_BITS];

    round_sequencer #(
        .R(R), .A(A), .Q(Q), .SKIP(SKIP), .MOST_TAPS(MOST_TAPS), .ADDRESS_BITS(ADDRESS_BITS),
        .GROUP_BITS(GROUP_BITS), .BEAT_BITS(BEAT_BITS)
    ) sequencer (
        .clk(clk), .rst(rst), .start(start), .first_group(first_group), .last_group(last_group),
        .skips(skips), .skip_group(skip_group), .taps(taps), .tap_offsets(tap_offsets),
        .full_beats(full_beats), .short_steps(short_steps), .pitch(pitch),
        .group_pitch(group_pitch), .first_offset(first_offset), .ready(ready), .any(any),
        .take(take), .beat_start(beat_start), .beat_runs(beat_runs), .there(there),
        .offsets(offsets), .fetched(fetched), .length(length), .beat_ends(beat_ends),
        .steps(beat_steps), .skipped(beat_skipped), .beats_end(beats_end),
        .drain_starts(drain_starts), .stepping(stepping), .bank_stall(bank_stall),
        .draining(draining), .decode_stall(decode_stall), .active(active));

    bank_arbiter #(.N(N), .B(B), .Q(Q), .ADDRESS_BITS(ADDRESS_BITS)) arbiter (
        .clk(clk), .rst(rst), .first(take), .start(beat_start), .enable(beat_runs), .there(there),
        .valid(round_valid),
        .addresses(addresses), .served(served), .reading(reading), .reads(reads), .words(bank_words),
        .banks(banks), .complete(fetched));

    generate
        if (SKIP) begin : skip
            beat_length #(.A(A), .B(B), .Q(Q)) needed (
                .clk(clk), .first(take), .start(beat_start), .reads(reads), .nonzero(nonzero),
                .length(length));
        end else begin : all
            assign length = {STEP_BITS{1'b0}};
        end
    endgenerate
endmodule
