// The Verilated model behind functions that speak of beats. The only file that knows its ports.
#pragma once

#include <cstring>
#include <memory>

#include "Vringwalker.h"
#include "types.h"
#include "verilated.h"

namespace rw {

class Pins {
 public:
  explicit Pins(VerilatedContext& context) : model_(std::make_unique<Vringwalker>(&context, "")) {}
  ~Pins() { model_->final(); }
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;

  Vringwalker& model() { return *model_; }

  void clock(bool level) {
    model_->clk = level;
    model_->eval();
  }
  void reset(bool level) { model_->rst = level; }

  // Requests of the device.
  bool requester_request_valid() const { return model_->requester_request_valid != 0; }
  void requester_request_ready(bool ready) { model_->requester_request_ready = ready; }
  void get(Beat<RequestHeader>& beat) const;

  // Answers to them.
  bool requester_completion_ready() const { return model_->requester_completion_ready != 0; }
  void requester_completion_valid(bool valid) { model_->requester_completion_valid = valid; }
  void put(const Beat<CompletionHeader>& beat);

  // Requests of the CPU.
  bool completer_request_ready() const { return model_->completer_request_ready != 0; }
  void completer_request_valid(bool valid) { model_->completer_request_valid = valid; }
  void put(const Beat<RequestHeader>& beat);

  // Answers to them.
  bool completer_completion_valid() const { return model_->completer_completion_valid != 0; }
  void completer_completion_ready(bool ready) { model_->completer_completion_ready = ready; }
  void get(Beat<CompletionHeader>& beat) const;

#if RW_HAS_INTX
  bool intx() const { return model_->intx != 0; }
#else
  bool intx() const { return false; }
#endif
#if RW_HAS_CAPACITY
  void capacity(std::uint64_t sectors) { model_->capacity = sectors; }
#else
  void capacity(std::uint64_t) {}
#endif

#if RW_HAS_STORAGE
  bool commands_valid() const { return model_->storage_commands_valid != 0; }
  void commands_ready(bool ready) { model_->storage_commands_ready = ready; }
  void get(StorageCommand& command) const;
  bool write_data_valid() const { return model_->storage_write_data_valid != 0; }
  void write_data_ready(bool ready) { model_->storage_write_data_ready = ready; }
  void get(StorageBeat& beat) const;
  bool read_data_ready() const { return model_->storage_read_data_ready != 0; }
  void read_data_valid(bool valid) { model_->storage_read_data_valid = valid; }
  void put(const StorageBeat& beat);
  bool results_ready() const { return model_->storage_results_ready != 0; }
  void results_valid(bool valid) { model_->storage_results_valid = valid; }
  void result(bool error) { model_->storage_results_payload = error; }
#endif

 private:
  std::unique_ptr<Vringwalker> model_;
};

}  // namespace rw
