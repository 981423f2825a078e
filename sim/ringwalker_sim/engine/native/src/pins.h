// The Verilated model behind functions that speak of beats. The only file that knows its ports.
#pragma once

#include <cstring>
#include <memory>

#include "Vringwalker.h"
#include "types.h"
#include "verilated.h"

namespace rw {

// Read by the generated code (build.py puts it there): whether combinational logic behind the inputs must
// be computed in the coming evaluation. Always safe to leave true.
extern thread_local bool inputs_changed;

#if RW_EDGE
// In the generated code (build.py puts it there): what a rising edge of the clock does.
void rising_edge(Vringwalker___024root* root);
#endif

class Pins {
 public:
  explicit Pins(VerilatedContext& context) : model_(std::make_unique<Vringwalker>(&context, "")) {}
  ~Pins() { model_->final(); }
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;

  Vringwalker& model() { return *model_; }

  // The reset and what is driven into streams reach the device with the rising edge (build.py puts registers
  // there), so nothing has to settle before it. The few other inputs change only while the clock is low.
  void clock(bool level) {
#if RW_EDGE
    if (level) return rising_edge(model_->rootp);
    if (!changed_) return;
#else
    model_->clk = level;
#endif
    inputs_changed = changed_ && !level;
    changed_ = changed_ && level;
    model_->eval();
  }
  void reset(bool level) { set(model_->rst_next, level); }

  // Requests of the device.
  bool requester_request_valid() const { return model_->requester_request_valid != 0; }
  void requester_request_ready(bool ready) { set(model_->requester_request_ready_next, ready); }
  void get(Beat<RequestHeader>& beat) const;

  // Answers to them.
  bool requester_completion_ready() const { return model_->requester_completion_ready != 0; }
  void requester_completion_valid(bool valid) { set(model_->requester_completion_valid_next, valid); }
  void put(const Beat<CompletionHeader>& beat);

  // Requests of the CPU.
  bool completer_request_ready() const { return model_->completer_request_ready != 0; }
  void completer_request_valid(bool valid) { set(model_->completer_request_valid_next, valid); }
  void put(const Beat<RequestHeader>& beat);

  // Answers to them.
  bool completer_completion_valid() const { return model_->completer_completion_valid != 0; }
  void completer_completion_ready(bool ready) { set(model_->completer_completion_ready_next, ready); }
  void get(Beat<CompletionHeader>& beat) const;

#if RW_HAS_INTX
  bool intx() const { return model_->intx != 0; }
#else
  bool intx() const { return false; }
#endif
#if RW_HAS_IDLE
  bool idle() const { return model_->idle != 0; }
#else
  bool idle() const { return false; }
#endif
#if RW_HAS_CAPACITY
  void capacity(std::uint64_t sectors) { settle(model_->capacity, sectors); }
#else
  void capacity(std::uint64_t) {}
#endif

#if RW_HAS_STORAGE
  bool commands_valid() const { return model_->storage_commands_valid != 0; }
  void commands_ready(bool ready) { set(model_->storage_commands_ready_next, ready); }
  void get(StorageCommand& command) const;
  bool write_data_valid() const { return model_->storage_write_data_valid != 0; }
  void write_data_ready(bool ready) { set(model_->storage_write_data_ready_next, ready); }
  void get(StorageBeat& beat) const;
  bool read_data_ready() const { return model_->storage_read_data_ready != 0; }
  void read_data_valid(bool valid) { set(model_->storage_read_data_valid_next, valid); }
  void put(const StorageBeat& beat);
  bool results_ready() const { return model_->storage_results_ready != 0; }
  void results_valid(bool valid) { set(model_->storage_results_valid_next, valid); }
  void result(bool error) { set(model_->storage_results_payload_next, error); }
#endif

#if RW_HAS_MAC
  bool mac_tx_valid() const { return model_->mac_tx_valid != 0; }
  void mac_tx_ready(bool ready) { set(model_->mac_tx_ready_next, ready); }
  void get(MacBeat& beat) const;
  bool mac_rx_ready() const { return model_->mac_rx_ready != 0; }
  void mac_rx_valid(bool valid) { set(model_->mac_rx_valid_next, valid); }
  void put(const MacBeat& beat);
  void link_up(bool up) { settle(model_->mac_link_up, up); }
#else
  void link_up(bool) {}
#endif

#if RW_HAS_UART
  bool uart_tx_valid() const { return model_->uart_tx_valid != 0; }
  void uart_tx_ready(bool ready) { set(model_->uart_tx_ready_next, ready); }
  std::uint8_t uart_tx() const { return model_->uart_tx_payload; }
  bool uart_rx_ready() const { return model_->uart_rx_ready != 0; }
  void uart_rx_valid(bool valid) { set(model_->uart_rx_valid_next, valid); }
  void uart_rx(std::uint8_t byte) { set(model_->uart_rx_payload_next, byte); }
  void terminal(std::uint32_t cols, std::uint32_t rows) {
    settle(model_->cols, cols);
    settle(model_->rows, rows);
  }
#else
  void terminal(std::uint32_t, std::uint32_t) {}
#endif

 private:
  // Ports have the smallest unsigned type that holds them.
  template <class Port, class Value>
  void set(Port& port, Value value) {
    port = static_cast<Port>(value);
  }

  // The same for an input without a register, behind which logic has to settle.
  template <class Port, class Value>
  void settle(Port& port, Value value) {
    changed_ = changed_ || port != static_cast<Port>(value);
    set(port, value);
  }

  template <class Port>
  void write_words(Port& port, const BeatData& in) {
    static_assert(sizeof(Port) == sizeof(BeatData));
    std::memcpy(&port, in.data(), sizeof(BeatData));
  }

  std::unique_ptr<Vringwalker> model_;
  bool changed_ = true;
};

}  // namespace rw
