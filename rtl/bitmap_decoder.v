// Bitmap decoder: turns one lane group's list of W-bit words into rounds of up to R indices.
//
// Contract (docs/model/index_decoder.md). In a cycle with room the decoder either passes one
// empty word or emits min(E, ones left in the word, room) indices of the current word; a word with
// ones costs no cycle of its own. It stops while its R-entry buffer is full. `ready` says, at the
// start of a cycle, that the buffer is full or the list scanned to its end; `take` hands the buffer
// over in that same cycle, and the decoder works on in it, into the other buffer.
//
// After a pulse of `start` the list is scanned from the next cycle on. `word` is the word at
// `word_address`, read in the same cycle from a register array; bits behind the last pixel are 0.
// The buffer handed over stands on `indices` and `valid` from the cycle of `take` to the next one.
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
    output wire                      working,     // this cycle passes a word or emits
    input  wire                      take,
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

    // A handover frees the buffer in its own cycle.
    wire [COUNT_BITS-1:0] filled = take ? {COUNT_BITS{1'b0}} : count;
    wire                  target = filling ^ take;
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
        emitted = target ? buffer1 : buffer0;
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
                handed_count <= count;
            end
            count <= filled;
            if (working) begin
                count <= after;
                if (target) buffer1 <= emitted;
                else buffer0 <= emitted;
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
    wire [COUNT_BITS-1:0] handed = take ? count : handed_count;
    genvar entry;
    generate
        for (entry = 0; entry < R; entry = entry + 1) begin : row_valid
            assign valid[entry] = handed > entry;
        end
    endgenerate
endmodule
