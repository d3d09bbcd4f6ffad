// Round window: the limit below which a round takes the indices of every list.
//
// Contract (docs/model/window.md). The smallest index in any buffer, plus the window. Buffers are in
// order, so each list has its smallest in front.
module round_window #(
    parameter J = 2,                              // lists
    parameter INDEX_BITS = 8
) (
    input  wire [INDEX_BITS:0]     window,
    input  wire [J-1:0]            any,           // lists whose buffer holds an index
    input  wire [J*INDEX_BITS-1:0] first,         // and the first of it
    output reg  [INDEX_BITS+1:0]   limit
);
    reg [INDEX_BITS-1:0] smallest;
    integer j;
    always @* begin
        smallest = {INDEX_BITS{1'b1}};
        for (j = 0; j < J; j = j + 1)
            if (any[j] && first[j*INDEX_BITS +: INDEX_BITS] < smallest)
                smallest = first[j*INDEX_BITS +: INDEX_BITS];
        limit = smallest + window;
    end
endmodule
