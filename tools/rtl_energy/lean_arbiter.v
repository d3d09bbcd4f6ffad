// Bank arbiter as it would be built: the function of rtl/bank_arbiter.v, cycle by cycle, on less
// hardware. Ports and parameters are those of that file; B is a power of two, 2 or more.
//
// - The bank of an address is its lowest bits. Each pointer that asks raises one of B request bits.
// - Each bank finds its first request with a prefix OR, and has the address of that pointer alone
//   go through an AND-OR.
// - Each pointer has one comparator. An AND-OR over its own request bits shows it the word of its
//   bank, which has the same bank bits: only those above them are compared.
// - A pointer that does not ask has no request bit set: nothing behind it changes.
// - The word of a bank goes to those groups of GROUP pointers of which one asks at the bank.
//
// COMPARED_BITS may be fewer than all bits above the bank's. Addresses of a beat are places of a
// tile's pixels plus one offset, so that they all lie within fewer than S of each other, S the
// distance between a tile's first and last place and 1. Two of them whose lowest bits are the same
// differ by a multiple of 2 ** (BANK_BITS + COMPARED_BITS): where that is S or more they are equal.
module lean_arbiter #(
    parameter N = 16,
    parameter B = 16,
    parameter Q = 0,
    parameter ADDRESS_BITS = 16,
    parameter BANK_BITS = $clog2(B),
    parameter COMPARED_BITS = ADDRESS_BITS - BANK_BITS,
    parameter GROUP = 4,
    parameter ALL = (Q + 1) * N
) (
    input  wire                        clk,
    input  wire                        rst,
    input  wire                        first,
    input  wire                        start,
    input  wire                        enable,
    input  wire [Q:0]                  there,
    input  wire [N-1:0]                valid,
    input  wire [ALL*ADDRESS_BITS-1:0] addresses,
    output wire [ALL-1:0]              served,
    output wire [B-1:0]                reading,
    output wire [(Q+1)*B-1:0]          reads,
    output wire [B*ADDRESS_BITS-1:0]   words,
    output wire [ALL*BANK_BITS-1:0]    banks,
    output wire                        complete
);
    localparam WORD_BITS = ADDRESS_BITS - BANK_BITS;

    reg  [ALL-1:0]           waiting;
    wire [ALL-1:0]           asking;
    wire [ALL*WORD_BITS-1:0] above;              // of each address, the bits above its bank's
    wire [B*WORD_BITS-1:0]   word;               // of each bank that reads, else 0
    wire [ALL-1:0]           requests [0:B-1];
    wire [Q+1:0]             taken [0:B-1];      // an older beat than this one waits for the bank

    localparam GROUPS = (ALL + GROUP - 1) / GROUP;
    wire [B*COMPARED_BITS-1:0] shown [0:GROUPS-1];

    genvar at, bank, beat, group;
    generate
        for (beat = 0; beat <= Q; beat = beat + 1) begin : asks
            wire [N-1:0] old;
            if (beat < Q) begin : moves
                assign old = start ? waiting[(beat+1)*N +: N] : waiting[beat*N +: N];
                assign asking[beat*N +: N] =
                    (first ? valid & {N{there[beat]}} : old) & {N{enable}};
            end else begin : enters
                assign old = waiting[beat*N +: N];
                assign asking[beat*N +: N] =
                    (first || start ? valid & {N{there[beat]}} : old) & {N{enable}};
            end
        end

        for (at = 0; at < ALL; at = at + 1) begin : pointer
            wire [BANK_BITS-1:0] own = addresses[at*ADDRESS_BITS +: BANK_BITS];
            wire [B-1:0]         turned = {{(B-1){1'b0}}, asking[at]} << own;
            wire [B-1:0]         chosen;         // of them, where its beat has the bank
            wire [COMPARED_BITS-1:0] seen;
            assign banks[at*BANK_BITS +: BANK_BITS] = own;
            assign above[at*WORD_BITS +: WORD_BITS] =
                addresses[at*ADDRESS_BITS + BANK_BITS +: WORD_BITS];
            for (bank = 0; bank < B; bank = bank + 1) begin : at_bank
                assign requests[bank][at] = turned[bank];
                assign chosen[bank] = turned[bank] && !taken[bank][at / N];
            end
            and_or #(.NUMBER(B), .BITS(COMPARED_BITS)) own_word (
                .chosen(chosen), .words(shown[at / GROUP]), .word(seen));
            assign served[at] = (at < N ? asking[at] : |chosen)
                && seen == above[at*WORD_BITS +: COMPARED_BITS];
        end

        for (group = 0; group < GROUPS; group = group + 1) begin : sees
            localparam SIZE = ALL - group * GROUP < GROUP ? ALL - group * GROUP : GROUP;
            for (bank = 0; bank < B; bank = bank + 1) begin : of_bank
                assign shown[group][bank*COMPARED_BITS +: COMPARED_BITS] =
                    word[bank*WORD_BITS +: COMPARED_BITS]
                    & {COMPARED_BITS{|requests[bank][group*GROUP +: SIZE]}};
            end
        end

        for (bank = 0; bank < B; bank = bank + 1) begin : activation_bank
            wire [ALL-1:0] winner;
            assign taken[bank][0] = 1'b0;
            for (beat = 0; beat <= Q; beat = beat + 1) begin : of_beat
                wire [N-1:0] firsts;
                wire         any;
                first_one #(.N(N)) priorities (
                    .bits(requests[bank][beat*N +: N]), .first(firsts), .any(any));
                assign reads[beat*B + bank] = any && !taken[bank][beat];
                assign taken[bank][beat+1] = any || taken[bank][beat];
                assign winner[beat*N +: N] = firsts & {N{!taken[bank][beat]}};
            end
            assign reading[bank] = taken[bank][Q+1];
            and_or #(.NUMBER(ALL), .BITS(WORD_BITS)) its_word (
                .chosen(winner), .words(above), .word(word[bank*WORD_BITS +: WORD_BITS]));
            localparam [BANK_BITS-1:0] NUMBER = bank;
            assign words[bank*ADDRESS_BITS +: ADDRESS_BITS] =
                {word[bank*WORD_BITS +: WORD_BITS], NUMBER & {BANK_BITS{reading[bank]}}};
        end
    endgenerate

    assign complete = (asking[N-1:0] & ~served[N-1:0]) == 0;
    always @(posedge clk) waiting <= rst ? {ALL{1'b0}} : asking & ~served;
endmodule

// The first bit that is set, alone: a prefix OR of Brent and Kung, 2 log2(N) deep.
(* keep_hierarchy *)
module first_one #(parameter N = 16) (
    input  wire [N-1:0] bits,
    output wire [N-1:0] first,
    output wire         any
);
    reg [N-1:0] up_to;
    integer distance, at;
    always @* begin
        up_to = bits;
        for (distance = 1; distance < N; distance = distance * 2)
            for (at = 2 * distance - 1; at < N; at = at + 2 * distance)
                up_to[at] = up_to[at] | up_to[at-distance];
        for (distance = 1 << $clog2(N); distance > 0; distance = distance / 2)
            for (at = 3 * distance - 1; at < N; at = at + 2 * distance)
                up_to[at] = up_to[at] | up_to[at-distance];
    end
    assign first = bits & ~(up_to << 1);
    assign any = up_to[N-1];
endmodule

// The word that is chosen, 0 where none is. At most one is.
(* keep_hierarchy *)
module and_or #(parameter NUMBER = 16, parameter BITS = 12) (
    input  wire [NUMBER-1:0]      chosen,
    input  wire [NUMBER*BITS-1:0] words,
    output wire [BITS-1:0]        word
);
    genvar bit_at, at;
    generate
        for (bit_at = 0; bit_at < BITS; bit_at = bit_at + 1) begin : of_bit
            wire [NUMBER-1:0] products;
            for (at = 0; at < NUMBER; at = at + 1) begin : of_word
                assign products[at] = chosen[at] & words[at*BITS + bit_at];
            end
            assign word[bit_at] = |products;
        end
    endgenerate
endmodule
