// Gated tile: base and conditional pass of a tile over real int8 data.
//
// Contract (docs/model): activation words in B banks, one weight word of C bytes per step, the
// pass as `tile_pass` plays it. The array follows the sequencer at a distance of A cycles
// (`beat_follower`) and the drain at one more, so that a pass's last sums, and the lists that the
// comparators write, stand A + 1 cycles behind its last cycle: `idle` says so, and the conditional
// pass may start. `cycles` counts those of the contract. R >= A: a drain begins before the next.
//
// With SKIP (docs/model/zero_skipping.md) a weight word is one beat's, A bytes for each column, held in
// registers, and the banks' words say themselves which of their channels are not zero.
module gated_tile #(
    parameter R = 4,
    parameter C = 4,
    parameter V = 1,
    parameter E = 1,
    parameter W = 8,
    parameter A = 4,
    parameter B = 4,
    parameter Q = 0,                              // beats that banks may be ahead
    parameter P = 32,
    parameter SHARED = 0,
    parameter SKIP = 0,
    parameter DEPTH = 256,                        // words of a bank
    parameter STEPS = 1024,                       // words of weights
    parameter WEIGHTS = SKIP ? A : 1,             // of a column, in a word
    parameter MOST_TAPS = 9,
    parameter ADDRESS_BITS = 16,
    parameter GROUP_BITS = 4,
    parameter WEIGHT_BITS = $clog2(STEPS),
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
    // Loading and reading, beside the passes.
    input  wire                              write_activation,
    input  wire [ADDRESS_BITS-1:0]           activation_address,
    input  wire [8*A-1:0]                    activation_word,
    input  wire                              write_weight,
    input  wire [WEIGHT_BITS-1:0]            weight_address,
    input  wire [8*C*WEIGHTS-1:0]            weight_word,  // column by column
    input  wire [INDEX_BITS-1:0]             read_pixel,
    output wire [C*32-1:0]                   sums,
    // The tile.
    input  wire [INDEX_BITS:0]               pixels,
    input  wire [WORD_BITS-1:0]              words,
    input  wire [J-1:0]                      lane_groups,
    input  wire [INDEX_BITS:0]               window,       // 0: none
    input  wire [C-1:0]                      columns,
    input  wire [C*32-1:0]                   thresholds,
    input  wire [(1 << INDEX_BITS)*ADDRESS_BITS-1:0] pixel_addresses,
    input  wire [TAP_BITS-1:0]               taps,
    input  wire [MOST_TAPS*ADDRESS_BITS-1:0] tap_offsets,
    input  wire [BEAT_BITS-1:0]              full_beats,
    input  wire [STEP_BITS-1:0]              short_steps,
    input  wire [ADDRESS_BITS-1:0]           pitch,
    input  wire [ADDRESS_BITS-1:0]           group_pitch,
    // The pass.
    input  wire                              start,
    input  wire                              decoded,      // the conditional pass
    input  wire [GROUP_BITS-1:0]             first_group,
    input  wire [GROUP_BITS-1:0]             last_group,
    input  wire                              skips,
    input  wire [GROUP_BITS-1:0]             skip_group,
    input  wire [ADDRESS_BITS-1:0]           first_offset,
    input  wire [WEIGHT_BITS-1:0]            first_weight,
    output wire                              idle,
    output reg  [31:0]                       cycles,
    output reg  [31:0]                       weight_word_reads
);
    // Q + 2, where every beat has A steps; short beats follow closer.
    localparam ENTRIES = Q + A + 1;
    localparam BANK_BITS = B > 1 ? $clog2(B) : 1;
    localparam ENTRY_BITS = $clog2(ENTRIES);
    localparam ROW_BITS = $clog2(R + 1);

    wire                      active, take, stepping, bank_stall, draining, decode_stall;
    wire [N-1:0]              round_valid;
    wire [ALL-1:0]            served;
    wire [N*INDEX_BITS-1:0]   round_indices;
    wire [B*ADDRESS_BITS-1:0] bank_addresses;
    wire [ALL*BANK_BITS-1:0]  pointer_banks;
    wire                      beat_ends, beats_end, drain_starts;
    wire [STEP_BITS-1:0]      beat_steps;
    wire [B*A-1:0]            nonzero;           // channels of the words that the banks read
    wire [J*WORDS*W-1:0]      lists;

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
        .decode_stall(decode_stall), .decoding(), .round_valid(round_valid),
        .round_indices(round_indices), .served(served), .reading(),
        .bank_words(bank_addresses), .banks(pointer_banks), .beat_ends(beat_ends),
        .beat_steps(beat_steps), .beat_skipped(), .beats_end(beats_end),
        .drain_starts(drain_starts));

    wire reads_weight;
    always @(posedge clk)
        if (rst || start) begin
            cycles <= 0;
            weight_word_reads <= 0;
        end else begin
            cycles <= cycles + (stepping || bank_stall || draining || decode_stall);
            weight_word_reads <= weight_word_reads + reads_weight;
        end

    // Activation banks, read in the cycle of the grant.
    wire [B*8*A-1:0] read_words;
    genvar bank, channel;
    generate
        for (bank = 0; bank < B; bank = bank + 1) begin : activation_bank
            reg [8*A-1:0] held [0:DEPTH-1];
            wire [ADDRESS_BITS-1:0] address = bank_addresses[bank*ADDRESS_BITS +: ADDRESS_BITS];
            assign read_words[bank*8*A +: 8*A] = held[address / B];
            always @(posedge clk)
                if (write_activation && activation_address % B == bank)
                    held[activation_address / B] <= activation_word;
            for (channel = bank * A; channel < bank * A + A; channel = channel + 1) begin : at_channel
                assign nonzero[channel] = |read_words[channel*8 +: 8];
            end
        end
    endgenerate

    wire                   runs, first, accumulator;
    wire [STEP_BITS-1:0]   step;
    wire [ENTRY_BITS-1:0]  filling, reading_entry;
    wire [WEIGHT_BITS-1:0] weight;
    wire [N*8*A-1:0]       operands;
    reg  [8*C*WEIGHTS-1:0] weights [0:STEPS-1];
    wire [8*C*WEIGHTS-1:0] array_weights;
    always @(posedge clk) if (write_weight) weights[weight_address] <= weight_word;
    generate
        if (SKIP) begin : skip
            reg [8*C*WEIGHTS-1:0] held;
            always @(posedge clk) if (reads_weight) held <= weights[weight];
            assign array_weights = held;
        end else begin : all
            assign array_weights = weights[weight];
        end
    endgenerate

    beat_follower #(
        .A(A), .ENTRIES(ENTRIES), .SKIP(SKIP), .WEIGHT_BITS(WEIGHT_BITS)
    ) follower (
        .clk(clk), .rst(rst), .start(start), .first_weight(first_weight), .beat_ends(beat_ends),
        .steps(beat_steps), .beats_end(beats_end), .filling(filling), .reading(reading_entry),
        .runs(runs), .step(step), .first(first), .reads_weight(reads_weight), .weight(weight),
        .accumulator(accumulator));

    operand_network #(.N(N), .B(B), .A(A), .Q(Q), .ENTRIES(ENTRIES)) network (
        .clk(clk), .served(served), .banks(pointer_banks), .words(read_words),
        .filling(filling), .reading(reading_entry), .operands(operands));

    // The drain, A + 1 cycles behind the sequencer's, with the pixels of the round it belongs to.
    reg  [A-1:0]            drain_due;
    reg                     drains;
    reg                     drain_bank;
    reg  [ROW_BITS-1:0]     drain_row;
    reg  [N-1:0]            running_valid, before_valid, drain_valid;
    reg  [N*INDEX_BITS-1:0] running_pixels, before_pixels, drain_pixels;
    always @(posedge clk) begin
        if (take) begin
            running_valid <= round_valid;
            running_pixels <= round_indices;
        end
        if (drain_starts) begin
            before_valid <= running_valid;
            before_pixels <= running_pixels;
        end
        if (drain_due[0]) begin
            drain_valid <= before_valid;
            drain_pixels <= before_pixels;
        end
        if (rst || start) begin
            drain_due <= {A{1'b0}};
            drains <= 1'b0;
            drain_bank <= 1'b0;
            drain_row <= {ROW_BITS{1'b0}};
        end else begin
            drain_due <= {drain_starts, drain_due} >> 1;
            if (drains && drain_row == R - 1) drain_bank <= !drain_bank;
            drains <= drain_due[0] || (drains && drain_row != R - 1);
            drain_row <= drains && drain_row != R - 1 ? drain_row + 1'b1 : {ROW_BITS{1'b0}};
        end
    end
    assign idle = !active && drain_due == 0 && !drains;

    wire [C*32-1:0]         entries;
    wire [J-1:0]            row_valid;
    wire [J*INDEX_BITS-1:0] row_pixels;
    genvar j;
    generate
        for (j = 0; j < J; j = j + 1) begin : drained_row
            assign row_valid[j] = drains && drain_valid[j*R + drain_row];
            assign row_pixels[j*INDEX_BITS +: INDEX_BITS] =
                drain_pixels[(j*R + drain_row)*INDEX_BITS +: INDEX_BITS];
        end
    endgenerate

    pe_array #(.R(R), .C(C), .V(V), .A(A), .SKIP(SKIP)) array (
        .clk(clk), .runs(runs), .first(first), .accumulator(accumulator), .step(step),
        .operands(operands), .weights(array_weights), .drain_bank(drain_bank),
        .drain_row(drain_row), .drained(entries));

    partial_sums #(
        .C(C), .V(V), .P(P), .LIST_BITS(WORDS * W), .INDEX_BITS(INDEX_BITS)
    ) psums (
        .clk(clk), .clear_lists(start && !decoded), .adds(decoded), .valid(row_valid),
        .pixels(row_pixels), .entries(entries), .thresholds(thresholds), .columns(columns),
        .read_pixel(read_pixel), .sums(sums), .lists(lists));
endmodule
