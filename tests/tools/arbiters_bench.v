// Both arbiters side by side under drawn inputs: prints how many cycles differ, and pointers served.
module bench;
    parameter N = 16, B = 16, Q = 0, ADDRESS_BITS = 8, CYCLES = 1000;
    parameter COMPARED_BITS = ADDRESS_BITS - $clog2(B);
    parameter SPAN = 0;  // 0: any addresses, else less than SPAN apart in a beat
    localparam ALL = (Q + 1) * N, BANK_BITS = $clog2(B);

    reg clk = 0, rst = 1, first = 0, start = 0, enable = 0;
    reg [Q:0]                  there = 0;
    reg [N-1:0]                valid = 0;
    reg [ALL*ADDRESS_BITS-1:0] addresses = 0;

    localparam OUTPUTS = ALL + B + (Q + 1) * B + B * ADDRESS_BITS + ALL * BANK_BITS + 1;
    wire [OUTPUTS-1:0] one, other;  // served is in the highest bits
    wire [ALL-1:0] served = one[OUTPUTS-1 -: ALL];
    `define PORTS(of) .clk(clk), .rst(rst), .first(first), .start(start), .enable(enable), \
        .there(there), .valid(valid), .addresses(addresses), \
        .served(of[OUTPUTS-1 -: ALL]), .reading(of[OUTPUTS-ALL-1 -: B]), \
        .reads(of[OUTPUTS-ALL-B-1 -: (Q+1)*B]), \
        .words(of[1 + ALL*BANK_BITS +: B*ADDRESS_BITS]), \
        .banks(of[1 +: ALL*BANK_BITS]), .complete(of[0])
    bank_arbiter #(.N(N), .B(B), .Q(Q), .ADDRESS_BITS(ADDRESS_BITS)) reference (`PORTS(one));
    lean_arbiter #(
        .N(N), .B(B), .Q(Q), .ADDRESS_BITS(ADDRESS_BITS), .COMPARED_BITS(COMPARED_BITS)
    ) lean (`PORTS(other));

    integer cycle, at, seed = 1, differ = 0, sum = 0, drawn, base;
    initial begin
        for (cycle = 0; cycle < CYCLES; cycle = cycle + 1) begin
            drawn = $random(seed);
            rst = cycle == 0 || drawn[8:0] == 0;
            start = drawn[11:10] == 0;
            first = start && drawn[13:12] == 0;
            enable = cycle != 0 && drawn[16:14] != 0;
            there = drawn[17] ? {(Q+1){1'b1}} : $random(seed);
            for (at = 0; at < N; at = at + 1)
                valid[at] = drawn[18] ? ($random(seed) & 3) == 0 : ($random(seed) & 7) != 0;
            base = $random(seed);
            // Mostly they stand still until the next beat, as they should, and sometimes not.
            if (start || drawn[21:19] == 0)
                for (at = 0; at < ALL; at = at + 1)
                    addresses[at*ADDRESS_BITS +: ADDRESS_BITS] =
                        SPAN ? base + at / N * 77 + $unsigned($random(seed)) % SPAN
                        : drawn[22] ? $random(seed) & 63 : $random(seed);
            #1 if (one !== other) differ = differ + 1;
            for (at = 0; at < ALL; at = at + 1) sum = sum + served[at];
            clk = 1;
            #1 clk = 0;
        end
        $display("%0d differ, %0d served", differ, sum);
    end
endmodule
