// Copies between host memory and a buffer of its own. AXI-Lite registers, an AXI master, one interrupt line.
//
//   0x00 ID       read: 0x444d4131 ("DMA1")
//   0x04 CONTROL  write: bit 0 starts a transfer, bit 1 is its direction (0: host to buffer, 1: buffer to host)
//   0x08 STATUS   bit 0: busy, bit 1: done, bit 2: the host refused; a write of 1 clears bits 1 and 2
//   0x0c LENGTH   bytes, a multiple of 8, up to the size of the buffer
//   0x10 HOST_LO  address in host memory, a multiple of 8
//   0x14 HOST_HI
//   0x18 BUFFER   offset in the buffer, in bytes, a multiple of 8
//   0x1c COUNT    transfers since reset
//   0x20 SCRATCH  reads as it was written
//   0x24 HANG     a read is never answered
module dma_engine #(
    parameter BUFFER_BYTES = 16384
) (
    input  wire        aclk,
    input  wire        aresetn,

    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [11:0] s_axil_awaddr,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    output reg         s_axil_bvalid,
    input  wire        s_axil_bready,
    output wire [1:0]  s_axil_bresp,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    input  wire [11:0] s_axil_araddr,
    output reg         s_axil_rvalid,
    input  wire        s_axil_rready,
    output reg  [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,

    output reg         m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [63:0] m_axi_awaddr,
    output wire [7:0]  m_axi_awlen,
    output wire [2:0]  m_axi_awsize,
    output wire [1:0]  m_axi_awburst,
    output reg         m_axi_wvalid,
    input  wire        m_axi_wready,
    output reg  [63:0] m_axi_wdata,
    output wire [7:0]  m_axi_wstrb,
    output wire        m_axi_wlast,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready,
    input  wire [1:0]  m_axi_bresp,
    output reg         m_axi_arvalid,
    input  wire        m_axi_arready,
    output wire [63:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire [2:0]  m_axi_arsize,
    output wire [1:0]  m_axi_arburst,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rlast,

    output wire        irq
);
    localparam WORDS = BUFFER_BYTES / 8;
    localparam BITS = $clog2(WORDS);
    localparam BURST = 32;  // words at most

    localparam IDLE = 3'd0, PLAN = 3'd1, ASK = 3'd2, READ = 3'd3, FETCH = 3'd4, WRITE = 3'd5, WAIT = 3'd6;

    reg [63:0] buffer [0:WORDS-1];

    // ---- registers
    reg [31:0] length, offset, count, scratch;
    reg [63:0] host;
    reg        done, failed, start, to_host, hung;
    reg [2:0]  state;
    wire       busy = state != IDLE || start;

    assign s_axil_bresp = 2'd0;
    assign s_axil_rresp = 2'd0;
    assign s_axil_awready = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
    assign s_axil_wready = s_axil_awready;
    assign s_axil_arready = !s_axil_rvalid && !hung;
    assign irq = done;

    always @(posedge aclk) begin
        start <= 1'b0;
        if (s_axil_bready) s_axil_bvalid <= 1'b0;
        if (s_axil_awready) begin
            s_axil_bvalid <= 1'b1;
            case (s_axil_awaddr[11:2])
                10'd1: begin
                    start <= s_axil_wdata[0] && !busy;
                    to_host <= s_axil_wdata[1];
                end
                10'd3: length <= s_axil_wdata;
                10'd4: host[31:0] <= s_axil_wdata;
                10'd5: host[63:32] <= s_axil_wdata;
                10'd6: offset <= s_axil_wdata;
                10'd8: scratch <= s_axil_wdata;
                default: ;
            endcase
        end
        if (s_axil_rready) s_axil_rvalid <= 1'b0;
        if (s_axil_arvalid && s_axil_arready) begin
            s_axil_rvalid <= s_axil_araddr[11:2] != 10'd9;
            hung <= s_axil_araddr[11:2] == 10'd9;
            case (s_axil_araddr[11:2])
                10'd0: s_axil_rdata <= 32'h444d4131;
                10'd2: s_axil_rdata <= {29'd0, failed, done, busy};
                10'd3: s_axil_rdata <= length;
                10'd4: s_axil_rdata <= host[31:0];
                10'd5: s_axil_rdata <= host[63:32];
                10'd6: s_axil_rdata <= offset;
                10'd7: s_axil_rdata <= count;
                10'd8: s_axil_rdata <= scratch;
                default: s_axil_rdata <= 32'd0;
            endcase
        end
        if (!aresetn) begin
            s_axil_bvalid <= 1'b0;
            s_axil_rvalid <= 1'b0;
            start <= 1'b0;
            hung <= 1'b0;
            scratch <= 32'd0;
        end
    end

    // ---- transfers: bursts that do not cross 4 KiB, one after the other
    reg  [63:0]     address;
    reg  [31:0]     left;  // words
    reg  [BITS-1:0] place;
    reg  [7:0]      beats;  // of the burst, less one
    reg  [7:0]      beat;
    wire [31:0]     page = 32'd512 - {23'd0, address[11:3]};
    wire [31:0]     most = left < BURST ? left : BURST;
    wire [31:0]     burst = most < page ? most : page;

    assign m_axi_awaddr = address;
    assign m_axi_araddr = address;
    assign m_axi_awlen = beats;
    assign m_axi_arlen = beats;
    assign m_axi_awsize = 3'd3;
    assign m_axi_arsize = 3'd3;
    assign m_axi_awburst = 2'd1;
    assign m_axi_arburst = 2'd1;
    assign m_axi_wstrb = 8'hff;
    assign m_axi_wlast = beat == beats;
    assign m_axi_bready = 1'b1;
    assign m_axi_rready = state == READ;

    always @(posedge aclk) begin
        if (s_axil_awready && s_axil_awaddr[11:2] == 10'd2 && s_axil_wdata[0]) begin
            done <= 1'b0;
            failed <= 1'b0;
        end
        if (m_axi_awready) m_axi_awvalid <= 1'b0;
        if (m_axi_arready) m_axi_arvalid <= 1'b0;
        case (state)
            IDLE: begin
                address <= host;
                left <= length >> 3;
                place <= offset[BITS+2:3];
                if (start) state <= PLAN;
            end
            PLAN: begin
                beats <= burst - 1;
                beat <= 8'd0;
                if (left == 0) begin
                    done <= 1'b1;
                    count <= count + 1;
                    state <= IDLE;
                end else state <= ASK;
            end
            ASK: begin
                m_axi_awvalid <= to_host;
                m_axi_arvalid <= !to_host;
                state <= to_host ? FETCH : READ;
            end
            READ: if (m_axi_rvalid) begin
                buffer[place] <= m_axi_rdata;
                place <= place + 1;
                if (m_axi_rresp != 0) failed <= 1'b1;
                if (m_axi_rlast) begin
                    address <= address + {52'd0, beats + 12'd1, 3'd0};
                    left <= left - beats - 1;
                    state <= PLAN;
                end
            end
            FETCH: begin
                m_axi_wdata <= buffer[place];
                m_axi_wvalid <= 1'b1;
                place <= place + 1;
                state <= WRITE;
            end
            WRITE: if (m_axi_wready) begin
                m_axi_wdata <= buffer[place];
                place <= place + 1;
                beat <= beat + 1;
                if (m_axi_wlast) begin
                    m_axi_wvalid <= 1'b0;
                    place <= place;
                    state <= WAIT;
                end
            end
            WAIT: if (m_axi_bvalid) begin
                if (m_axi_bresp != 0) failed <= 1'b1;
                address <= address + {52'd0, beats + 12'd1, 3'd0};
                left <= left - beats - 1;
                state <= PLAN;
            end
            default: state <= IDLE;
        endcase
        if (!aresetn) begin
            state <= IDLE;
            done <= 1'b0;
            failed <= 1'b0;
            count <= 32'd0;
            m_axi_awvalid <= 1'b0;
            m_axi_arvalid <= 1'b0;
            m_axi_wvalid <= 1'b0;
        end
    end
endmodule
