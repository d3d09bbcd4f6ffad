// Counted tile pass: a tile's passes with the counters of the machine beside them.
//
// Contract (docs/model/counters.md): every counter counts what happens in a cycle, none is
// calculated. `clear` sets all to 0; they run on over the passes of a tile.
//
// With SKIP (docs/model/zero_skipping.md) it has the activation buffer with one bit for a channel,
// which is what the test for zero would say of the byte. Banks read it at the address of the grant.
// What a cycle of a beat was is then known at the beat's end, and counted there.
module counted_tile_pass #(
    parameter R = 16,
    parameter C = 16,
    parameter V = 8,
    parameter E = 1,
    parameter W = 32,
    parameter A = 4,
    parameter B = 16,
    parameter Q = 0,
    parameter P = 256,
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
    parameter WORD_BITS = $clog2(WORDS + 1)
) (
    input  wire                              clk,
    input  wire                              rst,
    // SKIP: the channels of a word that are not zero, written beside the passes.
    input  wire                              write_nonzero,
    input  wire [ADDRESS_BITS-1:0]           nonzero_address,
    input  wire [A-1:0]                      nonzero_word,
    input  wire                              clear,
    input  wire                              start,
    input  wire                              decoded,
    input  wire [INDEX_BITS:0]               pixels,
    input  wire [WORD_BITS-1:0]              words,
    input  wire [J-1:0]                      lane_groups,
    input  wire [INDEX_BITS:0]               window,
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
    output wire                              active,
    output reg  [31:0]                       steps,
    output reg  [31:0]                       bank_stall_cycles,
    output reg  [31:0]                       drain_cycles,
    output reg  [31:0]                       decode_stall_cycles,
    output reg  [31:0]                       rounds,
    output reg  [31:0]                       word_reads,
    output reg  [31:0]                       line_fills,
    output reg  [31:0]                       weight_word_reads,
    output reg  [31:0]                       steps_skipped,
    output reg  [31:0]                       decoder_cycles,
    output reg  [31:0]                       window_compares,
    output reg  [31:0]                       pixel_uses        // pixels of all rounds' lists
);
    wire                      take, stepping, bank_stall, draining, decode_stall;
    wire [J-1:0]              decoding;
    wire [N-1:0]              round_valid;
    wire [ALL-1:0]            served;
    wire [N*INDEX_BITS-1:0]   round_indices;
    wire [B-1:0]              reading;
    wire [B*ADDRESS_BITS-1:0] bank_words;
    wire                      beat_ends;
    wire [STEP_BITS-1:0]      beat_steps, beat_skipped;
    wire [B*A-1:0]            nonzero;

    tile_pass #(
        .R(R), .C(C), .V(V), .E(E), .W(W), .A(A), .B(B), .Q(Q), .P(P),
        .SHARED(SHARED), .SKIP(SKIP), .MOST_TAPS(MOST_TAPS), .ADDRESS_BITS(ADDRESS_BITS),
        .GROUP_BITS(GROUP_BITS), .BEAT_BITS(BEAT_BITS)
    ) pass (
        .clk(clk), .rst(rst), .start(start), .decoded(decoded), .pixels(pixels), .words(words),
        .lane_groups(lane_groups), .window(window), .lists(lists), .pixel_addresses(pixel_addresses),
        .first_group(first_group), .last_group(last_group), .skips(skips),
        .skip_group(skip_group), .taps(taps), .tap_offsets(tap_offsets),
        .full_beats(full_beats), .short_steps(short_steps), .pitch(pitch),
        .group_pitch(group_pitch), .first_offset(first_offset), .nonzero(nonzero), .active(active),
        .take(take), .stepping(stepping), .bank_stall(bank_stall), .draining(draining),
        .decode_stall(decode_stall), .decoding(decoding), .round_valid(round_valid),
        .round_indices(round_indices), .served(served), .reading(reading),
        .bank_words(bank_words), .beat_ends(beat_ends), .beat_steps(beat_steps),
        .beat_skipped(beat_skipped));

    genvar bank;
    generate
        if (SKIP) begin : skip
            reg [A-1:0] held [0:(1 << ADDRESS_BITS)-1];
            always @(posedge clk) if (write_nonzero) held[nonzero_address] <= nonzero_word;
            for (bank = 0; bank < B; bank = bank + 1) begin : activation_bank
                assign nonzero[bank*A +: A] = held[bank_words[bank*ADDRESS_BITS +: ADDRESS_BITS]];
            end
        end else begin : all
            assign nonzero = {B*A{1'b0}};
        end
    endgenerate
    wire                 beat_runs = stepping || bank_stall;
    wire [STEP_BITS-1:0] steps_of_ended = beat_ends ? beat_steps : {STEP_BITS{1'b0}};

    reg [31:0] banks_reading, pointers_served, decoders_working, pointers, compares;
    integer at;
    always @* begin
        banks_reading = 0;
        pointers_served = 0;
        decoders_working = 0;
        pointers = 0;
        compares = 0;
        for (at = 0; at < B; at = at + 1) banks_reading = banks_reading + reading[at];
        for (at = 0; at < ALL; at = at + 1) pointers_served = pointers_served + served[at];
        for (at = 0; at < J; at = at + 1) decoders_working = decoders_working + decoding[at];
        for (at = 0; at < N; at = at + 1) pointers = pointers + round_valid[at];
        // A limit for each place of a buffer; lists but one for the smallest index.
        if (decoded && window != 0)
            for (at = 0; at < J; at = at + 1)
                if (lane_groups[at]) compares = compares + R + (compares != 0);
    end

    always @(posedge clk) begin
        if (rst || clear) begin
            steps <= 0;
            bank_stall_cycles <= 0;
            drain_cycles <= 0;
            decode_stall_cycles <= 0;
            rounds <= 0;
            word_reads <= 0;
            line_fills <= 0;
            weight_word_reads <= 0;
            steps_skipped <= 0;
            decoder_cycles <= 0;
            window_compares <= 0;
            pixel_uses <= 0;
        end else begin
            // Of the cycles of a beat that has ended, its steps are taken back from the stalls.
            steps <= steps + (SKIP ? steps_of_ended : stepping);
            bank_stall_cycles <=
                bank_stall_cycles + (SKIP ? beat_runs - steps_of_ended : bank_stall);
            drain_cycles <= drain_cycles + draining;
            decode_stall_cycles <= decode_stall_cycles + decode_stall;
            rounds <= rounds + take;
            word_reads <= word_reads + banks_reading;
            line_fills <= line_fills + pointers_served;
            weight_word_reads <= weight_word_reads + (SKIP ? beat_ends : stepping);
            steps_skipped <= steps_skipped + (beat_ends ? beat_skipped : 0);
            decoder_cycles <= decoder_cycles + decoders_working;
            window_compares <= window_compares + (take ? compares : 0);
            pixel_uses <= pixel_uses + (take ? pointers : 0);
        end
    end
endmodule
