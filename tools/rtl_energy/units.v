// Units that rtl/ has only as a part of a larger module, cut out to be measured alone.

// One PE of rtl/pe_array.v with one of its two accumulators.
module mac (
    input  wire               clk,
    input  wire               runs,
    input  wire               first,
    input  wire signed [7:0]  activation,
    input  wire signed [7:0]  weight,
    output reg  signed [31:0] sum
);
    wire signed [15:0] product = activation * weight;
    always @(posedge clk) if (runs) sum <= (first ? 32'sd0 : sum) + product;
endmodule

// The same behind a clock gate: no multiplexer holds the sum, no clock reaches it where nothing runs.
module gated_mac (
    input  wire               clk,
    input  wire               runs,
    input  wire               first,
    input  wire signed [7:0]  activation,
    input  wire signed [7:0]  weight,
    output reg  signed [31:0] sum
);
    wire signed [15:0] product = activation * weight;
    wire gated;
    clock_gate gate (.clk(clk), .enable(runs), .gated(gated));
    always @(posedge gated) sum <= (first ? 32'sd0 : sum) + product;
endmodule

// A latch that is open while the clock is low, and an AND: the library has no cell for both.
module clock_gate (
    input  wire clk,
    input  wire enable,
    output wire gated
);
    wire low, open;
    INVX1  inverter (.A(clk), .Y(low));
    LATCH  latch (.CLK(low), .D(enable), .Q(open));
    AND2X2 both (.A(clk), .B(open), .Y(gated));
endmodule

// A whole PE of rtl/pe_array.v: two accumulators and the multiplexer that drains one of them.
module pe (
    input  wire        clk,
    input  wire        runs,
    input  wire        first,
    input  wire        accumulator,
    input  wire        drain_bank,
    input  wire [7:0]  activation,
    input  wire [7:0]  weight,
    output wire [31:0] drained
);
    pe_array #(.R(1), .C(1), .V(1), .A(1)) array (
        .clk(clk), .runs(runs), .first(first), .accumulator(accumulator), .step(1'b0),
        .operands(activation), .weights(weight), .drain_bank(drain_bank), .drain_row(1'b0),
        .drained(drained));
endmodule

// B:1 multiplexer of 8A bits, alone: what is in front of a line register.
module word_multiplexer #(parameter A = 4, parameter B = 16, parameter BANK_BITS = $clog2(B)) (
    input  wire [B*8*A-1:0]     words,
    input  wire [BANK_BITS-1:0] bank,
    output wire [8*A-1:0]       word
);
    assign word = words[bank*8*A +: 8*A];
endmodule

// Operand network of one pointer (rtl/operand_network.v) whose multiplexers see words of their own
// bank alone, and these only in the cycle in which the pointer is served.
module isolated_pointer #(
    parameter A = 4,
    parameter B = 16,
    parameter Q = 0,
    parameter ENTRIES = Q + 2,
    parameter BANK_BITS = $clog2(B),
    parameter ENTRY_BITS = $clog2(ENTRIES)
) (
    input  wire                       clk,
    input  wire [Q:0]                 served,
    input  wire [(Q+1)*BANK_BITS-1:0] banks,
    input  wire [B*8*A-1:0]           words,
    input  wire [ENTRY_BITS-1:0]      filling,
    input  wire [ENTRY_BITS-1:0]      reading,
    output wire [8*A-1:0]             operands
);
    reg [8*A-1:0] entries [0:ENTRIES-1];
    genvar ahead;
    generate
        for (ahead = 0; ahead <= Q; ahead = ahead + 1) begin : beat
            wire [ENTRY_BITS-1:0] entry =
                filling < ENTRIES - ahead ? filling + ahead : filling + ahead - ENTRIES;
            reg [8*A-1:0] word;
            integer bank;
            always @* begin
                word = {8*A{1'b0}};
                for (bank = 0; bank < B; bank = bank + 1)
                    word = word | (words[bank*8*A +: 8*A]
                        & {8*A{served[ahead] && banks[ahead*BANK_BITS +: BANK_BITS] == bank}});
            end
            always @(posedge clk) if (served[ahead]) entries[entry] <= word;
        end
    endgenerate
    assign operands = entries[reading];
endmodule

// The same pointer behind clock gates, one for each entry of its line register.
module gated_pointer #(parameter A = 4, parameter B = 16, parameter BANK_BITS = $clog2(B)) (
    input  wire                 clk,
    input  wire                 served,
    input  wire [BANK_BITS-1:0] banks,
    input  wire [B*8*A-1:0]     words,
    input  wire                 filling,
    input  wire                 reading,
    output wire [8*A-1:0]       operands
);
    wire [8*A-1:0] word = words[banks*8*A +: 8*A];
    reg  [8*A-1:0] entry0, entry1;
    wire [1:0]     gated;
    clock_gate gate0 (.clk(clk), .enable(served && !filling), .gated(gated[0]));
    clock_gate gate1 (.clk(clk), .enable(served && filling), .gated(gated[1]));
    always @(posedge gated[0]) entry0 <= word;
    always @(posedge gated[1]) entry1 <= word;
    assign operands = reading ? entry1 : entry0;
endmodule

module comparator #(parameter BITS = 32) (
    input  wire signed [BITS-1:0] value,
    input  wire signed [BITS-1:0] threshold,
    output wire                   above
);
    assign above = value > threshold;
endmodule

module adder #(parameter BITS = 32) (
    input  wire signed [BITS-1:0] one,
    input  wire signed [BITS-1:0] other,
    output wire signed [BITS-1:0] sum
);
    assign sum = one + other;
endmodule

// An adder in front of the comparator of a structured gate.
module added_comparator #(parameter BITS = 32) (
    input  wire signed [BITS-1:0] one,
    input  wire signed [BITS-1:0] other,
    input  wire signed [BITS-1:0] threshold,
    output wire                   above
);
    wire signed [BITS-1:0] sum = one + other;
    assign above = sum > threshold;
endmodule

module register #(parameter BITS = 32) (
    input  wire            clk,
    input  wire            write,
    input  wire [BITS-1:0] value,
    output reg  [BITS-1:0] held
);
    always @(posedge clk) if (write) held <= value;
endmodule

module multiplexer #(parameter BITS = 32) (
    input  wire            choice,
    input  wire [BITS-1:0] one,
    input  wire [BITS-1:0] other,
    output wire [BITS-1:0] chosen
);
    assign chosen = choice ? other : one;
endmodule

module counter #(parameter BITS = 16) (
    input  wire            clk,
    input  wire            rst,
    input  wire            counts,
    output reg  [BITS-1:0] count
);
    always @(posedge clk)
        if (rst) count <= {BITS{1'b0}};
        else if (counts) count <= count + 1'b1;
endmodule

// A mac whose operands come out of registers of its own, which hold where nothing runs.
module registered_mac (
    input  wire               clk,
    input  wire               runs,
    input  wire               first,
    input  wire signed [7:0]  activation,
    input  wire signed [7:0]  weight,
    output reg  signed [31:0] sum
);
    reg signed [7:0] by, of;
    reg              ran, begins;
    wire signed [15:0] product = of * by;
    always @(posedge clk) begin
        ran <= runs;
        if (runs) begin
            of <= activation;
            by <= weight;
            begins <= first;
        end
        if (ran) sum <= (begins ? 32'sd0 : sum) + product;
    end
endmodule
