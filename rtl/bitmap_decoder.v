// Bitmap decoder: turns one lane group's list of W-bit words into rounds of up to R indices.
//
// Contract (docs/model/index_decoder.md). In a cycle with room the decoder either passes one
// empty word or emits min(E, ones left in the word, room) indices of the current word; a word with
// ones costs no cycle of its own. It stops while its R-entry buffer is full. `ready` says, at the
// start of a cycle, that the buffer is full or the list scanned to its end; `take` hands the buffer
// over in that same cycle, and the decoder works on in it, into the other buffer.
//
// With a window (docs/model/window.md) `take` hands over the indices below `limit` alone, which are
// the first ones, as they come in order. The others move to the front of the other buffer in the
// same cycle, and the decoder fills what room they leave. `limited` is 0 where there is no window.
// `done` says that nothing is left to do before the next round, in the cycle of `take`, too.
//
// After a pulse of `start` the list is scanned from the next cycle on. `word` is the word at
// `word_address`, read in the same cycle from a register array; bits behind the last pixel are 0.
// What was handed over stands on `indices` and `valid` from the cycle of `take` to the next one.
module bitmap_decoder #(
    parameter R = 16,
    parameter W = 32,
    parameter E = 1,
    parameter WORDS = 8,                          // most words of a list
    parameter INDEX_BITS = $clog2(WORDS * W),
    parameter WORD_BITS = $clog2(WORDS + 1),
    parameter COUNT_BITS = $clog2(R + 1)
) (
    input  wire                      clk,
    input  wire                      rst,
    input  wire                      start,
    input  wire [WORD_BITS-1:0]      words,       // of this list, at least 1
    input  wire                      enable,      // a shared decoder's turn; else 1
    output wire [WORD_BITS-1:0]      word_address,
    input  wire [W-1:0]              word,
    output wire                      ready,
    output wire                      ended,       // scanned to the end
    output wire                      any,         // the buffer holds an index
    output wire [INDEX_BITS-1:0]     first,       // the smallest of them
    output wire                      working,     // this cycle passes a word or emits
    output wire                      done,
    input  wire                      take,
    input  wire                      limited,
    input  wire [INDEX_BITS+1:0]     limit,
    output wire [R*INDEX_BITS-1:0]   indices,
    output wire [R-1:0]              valid
);
    reg                    scanning;
    reg                    begun;                 // `rest` holds what is left of the current word
    reg [WORD_BITS-1:0]    at;
    reg [W-1:0]            rest;
    reg                    filling;               // which of the two buffers is being filled
    reg [COUNT_BITS-1:0]   count;
    reg [COUNT_BITS-1:0]   handed_count;
    reg [R*INDEX_BITS-1:0] buffer0;
    reg [R*INDEX_BITS-1:0] buffer1;

    assign ended = !scanning;
    assign ready = ended || count == R;
    assign any = count != 0;
    assign word_address = at;

    wire [R*INDEX_BITS-1:0] held = filling ? buffer1 : buffer0;
    assign first = held[INDEX_BITS-1:0];

    // How many of the buffer's indices a round takes.
    reg [COUNT_BITS-1:0]   taken;
    integer place;
    always @* begin
        taken = {COUNT_BITS{1'b0}};
        for (place = 0; place < R; place = place + 1)
            if (place < count && (!limited || held[place*INDEX_BITS +: INDEX_BITS] < limit))
                taken = taken + 1'b1;
    end

    // A handover makes room in its own cycle.
    wire [COUNT_BITS-1:0] filled = take ? count - taken : count;
    wire                  target = filling ^ take;
    assign done = ended || filled == R;
    assign working = scanning && enable && filled != R;

    // Up to E ones of the word, lowest pixel first, as far as there is room.
    reg [W-1:0]            left;
    reg [W-1:0]            lowest;
    reg [INDEX_BITS-1:0]   offset;
    reg [COUNT_BITS-1:0]   after;
    reg [R*INDEX_BITS-1:0] emitted;               // the target buffer with this cycle's indices
    integer e, bit_at, row;
    always @* begin
        left = begun ? rest : word;
        after = filled;
        emitted = take ? held >> (taken * INDEX_BITS) : held;
        lowest = {W{1'b0}};
        offset = {INDEX_BITS{1'b0}};
        for (e = 0; e < E; e = e + 1) begin
            if (left != 0 && after != R) begin
                lowest = left & (~left + 1'b1);
                offset = {INDEX_BITS{1'b0}};
                for (bit_at = 0; bit_at < W; bit_at = bit_at + 1)
                    if (lowest[bit_at]) offset = offset | bit_at[INDEX_BITS-1:0];
                for (row = 0; row < R; row = row + 1)
                    if (after == row) emitted[row*INDEX_BITS +: INDEX_BITS] = at * W + offset;
                left = left & ~lowest;
                after = after + 1'b1;
            end
        end
    end

    always @(posedge clk) begin
        if (rst) begin
            scanning <= 1'b0;
            begun <= 1'b0;
            at <= {WORD_BITS{1'b0}};
            rest <= {W{1'b0}};
            filling <= 1'b0;
            count <= {COUNT_BITS{1'b0}};
            handed_count <= {COUNT_BITS{1'b0}};
            buffer0 <= {R*INDEX_BITS{1'b0}};
            buffer1 <= {R*INDEX_BITS{1'b0}};
        end else if (start) begin
            scanning <= 1'b1;
            begun <= 1'b0;
            at <= {WORD_BITS{1'b0}};
            count <= {COUNT_BITS{1'b0}};
            handed_count <= {COUNT_BITS{1'b0}};
        end else begin
            if (take) begin
                filling <= !filling;
                handed_count <= taken;
            end
            count <= filled;
            if (take || working) begin
                if (target) buffer1 <= emitted;
                else buffer0 <= emitted;
            end
            if (working) begin
                count <= after;
                rest <= left;
                begun <= left != 0;
                if (left == 0) begin
                    at <= at + 1'b1;
                    if (at + 1'b1 == words) scanning <= 1'b0;
                end
            end
        end
    end

    assign indices = target ? buffer0 : buffer1;  // the buffer that is not being filled
    wire [COUNT_BITS-1:0] handed = take ? taken : handed_count;
    genvar entry;
    generate
        for (entry = 0; entry < R; entry = entry + 1) begin : row_valid
            assign valid[entry] = handed > entry;
        end
    endgenerate
endmodule
