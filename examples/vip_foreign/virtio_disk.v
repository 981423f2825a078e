// A small disk with virtio-mmio registers: AXI-Lite slave for them, AXI-Lite master for its DMA.
//
// One queue of 8, split ring, no optional features. Buffers must be aligned to 4 bytes and
// have a multiple of 4 bytes (the status byte may be anywhere).
//
// Planted faults, for the testbench:
//   FAULT_INDEX_EARLY     used index goes out before the used entry
//   FAULT_WRONG_LENGTH    request header is counted as written, too
//   FAULT_LOST_INTERRUPT  no interrupt after a write request

`timescale 1ns / 1ps
`default_nettype none

module virtio_disk #(
    parameter SECTORS = 16
) (
    input  wire        clk,
    input  wire        rst,

    // registers
    input  wire [11:0] s_axil_awaddr,
    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    output wire [1:0]  s_axil_bresp,
    output reg         s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [11:0] s_axil_araddr,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    output reg  [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,
    output reg         s_axil_rvalid,
    input  wire        s_axil_rready,

    // DMA
    output reg  [31:0] m_axil_awaddr,
    output reg         m_axil_awvalid,
    input  wire        m_axil_awready,
    output reg  [31:0] m_axil_wdata,
    output reg  [3:0]  m_axil_wstrb,
    output reg         m_axil_wvalid,
    input  wire        m_axil_wready,
    input  wire [1:0]  m_axil_bresp,
    input  wire        m_axil_bvalid,
    output wire        m_axil_bready,
    output reg  [31:0] m_axil_araddr,
    output reg         m_axil_arvalid,
    input  wire        m_axil_arready,
    input  wire [31:0] m_axil_rdata,
    input  wire [1:0]  m_axil_rresp,
    input  wire        m_axil_rvalid,
    output wire        m_axil_rready,

    output wire        irq
);

localparam QUEUE_SIZE = 8;

// ---------------------------------------------------------------- registers

reg         features_sel;
reg  [7:0]  status;
reg         queue_sel;          // anything but queue 0
reg  [31:0] desc_base, avail_base, used_base;
reg         ready;
reg         kick;
reg         event_pending;

assign irq = event_pending;

wire write_now = s_axil_awvalid && s_axil_wvalid && (!s_axil_bvalid || s_axil_bready);
wire read_now  = s_axil_arvalid && (!s_axil_rvalid || s_axil_rready);
assign s_axil_awready = write_now;
assign s_axil_wready  = write_now;
assign s_axil_arready = read_now;
assign s_axil_bresp = 2'b00;
assign s_axil_rresp = 2'b00;

wire soft_reset = write_now && s_axil_awaddr == 12'h070 && s_axil_wdata == 0;
wire clear = rst || soft_reset;

reg used_event;                 // from the machine below: a buffer was used, tell the driver
reg kick_taken;

always @(posedge clk) begin
    if (s_axil_bready) s_axil_bvalid <= 0;
    if (s_axil_rready) s_axil_rvalid <= 0;
    if (used_event) event_pending <= 1;
    if (kick_taken) kick <= 0;

    if (write_now) begin
        s_axil_bvalid <= 1;
        case (s_axil_awaddr)
            12'h014: features_sel <= s_axil_wdata[0];
            12'h030: queue_sel <= |s_axil_wdata;
            12'h044: if (!queue_sel) ready <= s_axil_wdata[0];
            12'h050: kick <= 1;
            12'h064: if (s_axil_wdata[0] && !used_event) event_pending <= 0;
            12'h070: status <= s_axil_wdata[7:0];
            12'h080: if (!queue_sel) desc_base <= s_axil_wdata;
            12'h090: if (!queue_sel) avail_base <= s_axil_wdata;
            12'h0a0: if (!queue_sel) used_base <= s_axil_wdata;
        endcase
    end

    if (read_now) begin
        s_axil_rvalid <= 1;
        case (s_axil_araddr)
            12'h000: s_axil_rdata <= 32'h74726976;
            12'h004: s_axil_rdata <= 2;
            12'h008: s_axil_rdata <= 2;                     // block device
            12'h00c: s_axil_rdata <= 32'h4b534944;
            12'h010: s_axil_rdata <= features_sel ? 1 : 0;  // VIRTIO_F_VERSION_1
            12'h034: s_axil_rdata <= queue_sel ? 0 : QUEUE_SIZE;
            12'h044: s_axil_rdata <= queue_sel ? 0 : ready;
            12'h060: s_axil_rdata <= event_pending;
            12'h070: s_axil_rdata <= status;
            12'h100: s_axil_rdata <= SECTORS;               // capacity
            default: s_axil_rdata <= 0;
        endcase
    end

    if (clear) begin
        status <= 0;
        ready <= 0;
        kick <= 0;
        event_pending <= 0;
        features_sel <= 0;
        queue_sel <= 0;
    end
    if (rst) begin
        s_axil_bvalid <= 0;
        s_axil_rvalid <= 0;
    end
end

// ---------------------------------------------------------------- one access at a time

reg         rd, wr;             // start an access; the address is taken from dma_addr
reg  [31:0] dma_addr, dma_data;
reg  [3:0]  dma_strb;
reg         busy;
wire rd_done = busy && m_axil_rvalid;
wire wr_done = busy && m_axil_bvalid;
assign m_axil_rready = busy;
assign m_axil_bready = busy;

always @(posedge clk) begin
    if (m_axil_arready) m_axil_arvalid <= 0;
    if (m_axil_awready) m_axil_awvalid <= 0;
    if (m_axil_wready) m_axil_wvalid <= 0;
    if (rd_done || wr_done) busy <= 0;
    if (rd) begin
        busy <= 1;
        m_axil_arvalid <= 1;
        m_axil_araddr <= {dma_addr[31:2], 2'b00};
    end
    if (wr) begin
        busy <= 1;
        m_axil_awvalid <= 1;
        m_axil_wvalid <= 1;
        m_axil_awaddr <= {dma_addr[31:2], 2'b00};
        m_axil_wdata <= dma_data;
        m_axil_wstrb <= dma_strb;
    end
    if (rst) begin
        busy <= 0;
        m_axil_arvalid <= 0;
        m_axil_awvalid <= 0;
        m_axil_wvalid <= 0;
    end
end

// ---------------------------------------------------------------- the queue

localparam IDLE = 0, IDX = 1, RING = 2, DESC = 3, HEADER = 4, DATA = 5, STATUS = 6, USED = 7, FLAGS = 8;

reg  [31:0] disk [0:SECTORS*128-1];
reg  [3:0]  state;
reg         issued;             // the access of this step is on its way
reg  [2:0]  step;
reg  [15:0] last_avail, used_idx, head, desc, next;
reg  [31:0] addr, len, count, written, kind, sector;
reg         has_next, first;

// Rings are aligned to 2 bytes, words of the bus to 4.
wire [15:0] half = dma_addr[1] ? m_axil_rdata[31:16] : m_axil_rdata[15:0];
wire [31:0] slot = last_avail % QUEUE_SIZE;
wire [31:0] used_slot = used_base + 4 + 8 * (used_idx % QUEUE_SIZE);

`ifdef FAULT_WRONG_LENGTH
wire [31:0] used_len = written + 16;
`else
wire [31:0] used_len = written;
`endif

// In which step of USED the id, the length and the index go out.
`ifdef FAULT_INDEX_EARLY
localparam STEP_INDEX = 0, STEP_ID = 1, STEP_LEN = 2;
`else
localparam STEP_ID = 0, STEP_LEN = 1, STEP_INDEX = 2;
`endif

always @(posedge clk) begin
    rd <= 0;
    wr <= 0;
    used_event <= 0;
    kick_taken <= 0;

    if (state == IDLE) begin
        if (kick && !kick_taken && ready && status[2]) begin
            kick_taken <= 1;
            state <= IDX;
        end
    end else if (!issued) begin
        issued <= 1;
        dma_strb <= 4'b1111;
        case (state)
            IDX:    begin rd <= 1; dma_addr <= avail_base + 2; end
            RING:   begin rd <= 1; dma_addr <= avail_base + 4 + 2 * slot; end
            DESC:   begin rd <= 1; dma_addr <= desc_base + 16 * desc + 4 * step; end
            HEADER: begin rd <= 1; dma_addr <= addr + 4 * step; end
            DATA: begin
                dma_addr <= addr + count;
                dma_data <= disk[(sector * 128 + written / 4) % (SECTORS * 128)];
                rd <= kind == 1;
                wr <= kind == 0;
            end
            STATUS: begin
                wr <= 1;
                dma_addr <= addr;
                dma_data <= kind > 1 ? 32'h02020202 : 0;    // UNSUPP or OK
                dma_strb <= 4'b0001 << addr[1:0];
            end
            USED: begin
                wr <= 1;
                if (step == STEP_ID) begin dma_addr <= used_slot; dma_data <= head; end
                if (step == STEP_LEN) begin dma_addr <= used_slot + 4; dma_data <= used_len; end
                if (step == STEP_INDEX) begin
                    dma_addr <= used_base;
                    dma_data <= {used_idx + 16'd1, 16'd0};
                    dma_strb <= 4'b1100;
                end
            end
            FLAGS:  begin rd <= 1; dma_addr <= avail_base; end
        endcase
    end else if (rd_done || wr_done) begin
        issued <= 0;
        case (state)
            IDX: state <= half == last_avail ? IDLE : RING;
            RING: begin
                head <= half;
                desc <= half;
                first <= 1;
                written <= 0;
                step <= 0;
                state <= DESC;
            end
            DESC: begin
                step <= step + 1;
                case (step)
                    0: addr <= m_axil_rdata;
                    1: ;                                    // we are a 32 bit machine
                    2: len <= m_axil_rdata;
                    3: begin
                        has_next <= m_axil_rdata[0];
                        next <= m_axil_rdata[31:16];
                        step <= 0;
                        count <= 0;
                        state <= first ? HEADER : m_axil_rdata[0] ? (kind < 2 ? DATA : DESC) : STATUS;
                        if (!first && m_axil_rdata[0] && kind > 1) desc <= m_axil_rdata[31:16];
                    end
                endcase
            end
            HEADER: begin
                step <= step + 1;
                if (step == 0) kind <= m_axil_rdata;
                if (step == 2) begin
                    sector <= m_axil_rdata;
                    first <= 0;
                    step <= 0;
                    desc <= next;
                    state <= DESC;
                end
            end
            DATA: begin
                if (kind == 1) disk[(sector * 128 + count / 4) % (SECTORS * 128)] <= m_axil_rdata;
                if (kind == 0) written <= written + 4;
                count <= count + 4;
                if (count + 4 >= len) begin
                    if (kind == 1) sector <= sector + len / 512;
                    desc <= next;
                    state <= DESC;
                end
            end
            STATUS: begin
                written <= written + 1;
                step <= 0;
                state <= USED;
            end
            USED: begin
                step <= step + 1;
                if (step == 2) begin
                    used_idx <= used_idx + 1;
                    last_avail <= last_avail + 1;
                    state <= FLAGS;
                end
            end
            FLAGS: begin
`ifdef FAULT_LOST_INTERRUPT
                used_event <= !half[0] && kind != 1;
`else
                used_event <= !half[0];
`endif
                state <= IDX;
            end
        endcase
    end

    if (clear) begin
        state <= IDLE;
        issued <= 0;
        last_avail <= 0;
        used_idx <= 0;
        step <= 0;
    end
end

endmodule

`default_nettype wire
