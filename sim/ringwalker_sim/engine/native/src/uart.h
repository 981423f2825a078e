// The terminal behind the UART port: takes bytes from the device, and gives it others.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "peripheral.h"

namespace rw {

class Uart final : public Peripheral {
 public:
  explicit Uart(Board& board) : Peripheral(board), tx_(board), rx_(board) {}

  // The size of the terminal, in characters, as the device sees it.
  void terminal(std::uint32_t cols, std::uint32_t rows);

  // Whether bytes of the device come back to it; otherwise they wait to be fetched.
  void loopback(bool on) { loopback_ = on; }

  // Queues bytes for the device.
  void send(const std::uint8_t* bytes, std::size_t count) { waiting_.insert(waiting_.end(), bytes, bytes + count); }

  // Bytes of the device that nobody has fetched: how many there are, and the first count of them.
  std::size_t size() const { return sent_.size(); }
  void fetch(std::uint8_t* out, std::size_t count);

  void transfer() override;
  void drive() override;
  bool calm() const override;
  // What the terminal has waits; a byte that was offered is offered again.
  void reset() override;

 private:
  static constexpr std::uint64_t pause_cycles = 64;
  static constexpr std::uint64_t most_unreported = 4096;
  static constexpr std::size_t most_bytes = 1 << 20;

  void take(std::uint8_t byte);
  // Tells of what the device sent when it pauses, or has sent much, so not byte for byte.
  void tick();

  Taker<port::uart_tx> tx_;
  Giver<port::uart_rx> rx_;
  bool loopback_ = false;
  bool news_ = false;
  std::uint64_t unreported_ = 0;
  std::uint64_t last_ = 0;
  std::deque<std::uint8_t> sent_{};
  std::deque<std::uint8_t> waiting_{};
};

}  // namespace rw
