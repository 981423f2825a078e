// Gives recorded inputs to a device, cycle by cycle, and compares its outputs with the recorded ones. A bit that is
// not known, of a payload that nothing was written into yet, is as good as any.
`timescale 1ns/1ps
module replay;
  reg [`INPUTS-1:0] inputs [0:`CYCLES-1];
  reg [`OUTPUTS-1:0] outputs [0:`CYCLES-1];
  reg [`INPUTS-1:0] put;
  wire [`OUTPUTS-1:0] found;
  reg clk;
  integer cycle, cycles, different;
  `include "device.vh"
  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    if (!$value$plusargs("cycles=%d", cycles)) cycles = `CYCLES;
    clk = 0;
    different = 0;
    put = inputs[0];
    for (cycle = 0; cycle < cycles; cycle = cycle + 1) begin
      #2;
      if (|(found ^ outputs[cycle]) === 1'b1) different = different + 1;
      clk = 1;
      #2;
      if (cycle + 1 < cycles) put = inputs[cycle + 1];
      clk = 0;
    end
    $display("%0d", different);
    $finish;
  end
endmodule
