// Beat follower: the array's control, A cycles behind the sequencer's.
//
// The sequencer fetches a beat's words beside the beat's own steps, so the array can run those steps
// only when the words are there: it runs a beat of s steps in the cycles A - s + 1 to A behind the
// beat's end. Beats keep their distance, none overlaps the next, and everything behind the array
// trails by the same A cycles, whatever the load was.
//
// A word of weights is one step's, read in the step. With SKIP it is one beat's, A for each column: it
// is read in the cycle before the beat's first step, into registers that hold it for all of them.
module beat_follower #(
    parameter A = 4,
    parameter ENTRIES = 2,                   // of a line register
    parameter SKIP = 0,
    parameter WEIGHT_BITS = 10,
    parameter STEP_BITS = $clog2(A + 1),
    parameter ENTRY_BITS = $clog2(ENTRIES)
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   start,        // of a pass; nothing is under way
    input  wire [WEIGHT_BITS-1:0] first_weight, // word of the pass's first step, or beat
    input  wire                   beat_ends,
    input  wire [STEP_BITS-1:0]   steps,
    input  wire                   beats_end,
    output reg  [ENTRY_BITS-1:0]  filling,      // line entry of the beat that the sequencer runs
    output reg  [ENTRY_BITS-1:0]  reading,      // ... and that the beat under way reads
    output wire                   runs,         // a step
    output wire [STEP_BITS-1:0]   step,
    output wire                   first,        // of the round
    output wire                   reads_weight,
    output reg  [WEIGHT_BITS-1:0] weight,
    output reg                    accumulator   // bank
);
    // Beats on their way, the next one in place 0; each with its steps.
    reg [A-1:0]           due;
    reg [A-1:0]           due_last;
    reg [A*STEP_BITS-1:0] due_steps;
    reg                   under_way;
    reg                   last;
    reg [STEP_BITS-1:0]   at;
    reg [STEP_BITS-1:0]   of;
    reg                   round_begins;

    assign runs = due[0] || under_way;
    assign step = due[0] ? {STEP_BITS{1'b0}} : at;
    assign first = round_begins;
    wire [STEP_BITS-1:0] these = due[0] ? due_steps[STEP_BITS-1:0] : of;
    wire                 is_last = due[0] ? due_last[0] : last;
    wire                 ends = runs && step + 1'b1 == these;
    wire                 round_ends = ends && is_last;

    // A beat whose first step is in the next cycle: one on its way, or a full one that ends now.
    wire [A-1:0] moved = due >> 1;
    wire [A-1:0] moved_last = due_last >> 1;
    wire         comes = moved[0] || (beat_ends && steps == A);
    wire         comes_last = moved[0] ? moved_last[0] : beats_end;
    assign reads_weight = SKIP ? comes : runs;
    wire         last_weight = SKIP ? comes_last : round_ends;

    always @(posedge clk) begin
        if (rst || start) begin
            due <= {A{1'b0}};
            due_last <= {A{1'b0}};
            due_steps <= {A*STEP_BITS{1'b0}};
            under_way <= 1'b0;
            last <= 1'b0;
            at <= {STEP_BITS{1'b0}};
            of <= {STEP_BITS{1'b0}};
            round_begins <= 1'b1;
            filling <= {ENTRY_BITS{1'b0}};
            reading <= {ENTRY_BITS{1'b0}};
            weight <= first_weight;
            accumulator <= 1'b0;
        end else begin
            due <= moved;
            due_last <= moved_last;
            due_steps <= due_steps >> STEP_BITS;
            if (beat_ends) begin
                due[A - steps] <= 1'b1;
                due_last[A - steps] <= beats_end;
                due_steps[(A - steps)*STEP_BITS +: STEP_BITS] <= steps;
                filling <= filling == ENTRIES - 1 ? {ENTRY_BITS{1'b0}} : filling + 1'b1;
            end
            under_way <= runs && !ends;
            last <= is_last;
            at <= step + 1'b1;
            of <= these;
            if (runs) round_begins <= round_ends;
            if (reads_weight) weight <= last_weight ? first_weight : weight + 1'b1;
            if (ends) reading <= reading == ENTRIES - 1 ? {ENTRY_BITS{1'b0}} : reading + 1'b1;
            if (round_ends) accumulator <= !accumulator;
        end
    end
endmodule
