// The root complex around the model: one call is one clock cycle.
#pragma once

#include <memory>
#include <string>

#include "cpu.h"
#include "link.h"
#include "mac.h"
#include "memory_map.h"
#include "pins.h"
#include "reads.h"
#include "rng.h"
#include "shared.h"
#include "storage.h"
#include "streams.h"
#include "uart.h"
#include "uplink.h"
#include "waves.h"

namespace rw {

class Host {
 public:
  // trace is the FST file to write, or null. Throws std::runtime_error when it cannot be written.
  Host(const Parameters& parameters, const char* trace);

  // Holds the reset for so many cycles; drops everything under way on both sides.
  void reset(std::uint64_t cycles);

  // Runs until an event or so many cycles have gone, or until all is quiet if that is asked for; gives the
  // number of events in out.
  std::uint32_t run(std::uint64_t most_cycles, Event* out, std::uint32_t room, bool until_quiet = false);

  // Nothing is under way on either side, and nothing will happen before somebody asks for it. Known only
  // after a run. Never true for a model that has no port idle.
  bool quiet() const { return calm_ >= settle_cycles && shared_.events.empty(); }

  std::uint64_t submit(RequestKind kind, std::uint64_t address, std::uint32_t length, std::uint16_t target_id,
                       const std::uint8_t* data);
  void attach(std::uint8_t* image, std::uint64_t sectors, bool read_only);
  // What hangs on the port has settled when this returns, as it has after every cycle.
  void capacity(std::uint64_t sectors) {
    calm_ = 0;
    pins_.capacity(sectors);
    pins_.clock(false);
  }
  // The same for the state of the medium; frames of the other side are lost while it is down.
  void link(bool up) {
    calm_ = 0;
    mac_.link(up);
    pins_.link_up(up);
    pins_.clock(false);
  }
  // See Mac::send.
  bool send(Bytes&& frame, std::uint64_t due, bool error) {
    calm_ = 0;
    return mac_.send(std::move(frame), due, error);
  }
  // See Mac::supply.
  void supply(const Rows& rows, std::uint64_t frames) {
    calm_ = 0;
    mac_.supply(rows, frames);
  }
  // The same for the size of the terminal, in characters.
  void terminal(std::uint32_t cols, std::uint32_t rows) {
    calm_ = 0;
    pins_.terminal(cols, rows);
    pins_.clock(false);
  }
  // See Uart::send.
  void type(const std::uint8_t* bytes, std::size_t count) {
    calm_ = 0;
    uart_.send(bytes, count);
  }
  void trace(bool on);
  bool trace_next(const char* path);
  const char* next_violation();

  Shared& shared() { return shared_; }
  MemoryMap& memory() { return memory_; }
  ReadServer& reads() { return reads_; }
  Cpu& cpu() { return cpu_; }
  Storage& storage() { return storage_; }
  Mac& mac() { return mac_; }
  Uart& uart() { return uart_; }

 private:
  // Cycles in a row in which the device says that it is idle: more than an item takes from one of its blocks
  // to the next.
  static constexpr unsigned settle_cycles = 8;

  void cycle();
  void skip(std::uint64_t end);
  bool calm() const;
  bool calm_mac() const;
  bool calm_uart() const;
  void transfer_requests();
  void transfer_completions();
  void transfer_uplink();
  void transfer_storage();
  void transfer_mac();
  void transfer_uart();
  void drive_requests();
  void drive_completions();
  void drive_storage();
  void drive_mac();
  void drive_uart();
  void reset_mac();
  void reset_uart();
  bool is_message(const RequestHeader& header) const {
    const Parameters& p = shared_.parameters;
    return header.kind == RequestKind::MEMORY_WRITE && header.address >= p.msi_first && header.address <= p.msi_last;
  }
  void sent(const RequestPacket& packet);
  void sent(const CompletionPacket& packet);
  void sent_level(bool level);
  void arrived(const RequestPacket& packet);
  void arrived(const CompletionPacket& packet);
  void count_down(const RequestHeader& header);
  void edge();
  void settle();

  Shared shared_;
  MemoryMap memory_{shared_};
  ReadServer reads_{shared_, memory_};
  Cpu cpu_{shared_};
  Storage storage_{shared_};
  Mac mac_{shared_};
  Uart uart_{shared_};
  Uplink up_;
  LinkModel down_;
  Rng stalls_;
  VerilatedContext context_{};
  Pins pins_;
  const bool skips_;  // idle cycles are not simulated
  std::unique_ptr<Waves> waves_{};
  std::string violation_{};

  PacketSink<RequestHeader> request_sink_{shared_, "requester_request"};
  PacketSink<CompletionHeader> completion_sink_{shared_, "completer_completion"};
  PacketSource<RequestHeader> request_source_{};
  PacketSource<CompletionHeader> completion_source_{};
  StallCheck<StorageCommand> command_check_{shared_, "storage_commands"};
  StallCheck<StorageBeat> write_data_check_{shared_, "storage_write_data"};
  StallCheck<MacBeat> mac_tx_check_{shared_, "mac_tx"};
  StallCheck<std::uint8_t> uart_tx_check_{shared_, "uart_tx"};
  Beat<RequestHeader> request_beat_{};
  Beat<CompletionHeader> completion_beat_{};
  bool request_ready_ = false;
  bool completion_ready_ = false;
  bool commands_ready_ = false;
  bool write_data_ready_ = false;
  bool read_data_valid_ = false;
  bool results_valid_ = false;
  bool mac_tx_ready_ = false;
  bool mac_rx_valid_ = false;
  bool uart_tx_ready_ = false;
  bool uart_rx_valid_ = false;
  bool intx_ = false;
  unsigned calm_ = 0;
  int device_id_ = -1;
};

}  // namespace rw
