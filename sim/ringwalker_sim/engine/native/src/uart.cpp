#include "uart.h"

#include <algorithm>

namespace rw {

void Uart::fetch(std::uint8_t* out, std::size_t count) {
  const auto end = sent_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(sent_.begin(), end, out);
  sent_.erase(sent_.begin(), end);
  news_ = false;
  untold_ = 0;
}

void Uart::take(std::uint8_t byte) {
  ++shared_.stats.uart_tx_bytes;
  if (loopback_) {
    send(&byte, 1);
    return;
  }
  if (sent_.size() >= most_bytes) {
    sent_.pop_front();
    ++shared_.stats.uart_lost;
  }
  sent_.push_back(byte);
  news_ = true;
  ++untold_;
  last_ = shared_.now;
}

void Uart::byte_taken() {
  ++shared_.stats.uart_rx_bytes;
  waiting_.pop_front();
}

void Uart::tick() {
  if (!news_ || (untold_ < most_untold && shared_.now - last_ < pause_cycles)) return;
  shared_.event(EventKind::BYTES, 0, untold_, 0);
  news_ = false;
  untold_ = 0;
}

}  // namespace rw
