#include "uart.h"

#include <algorithm>

#include "host.h"

namespace rw {

void Uart::terminal(std::uint32_t cols, std::uint32_t rows) {
  pins_.drive<port::cols>(cols);
  pins_.drive<port::rows>(rows);
  pins_.clock(false);
}

void Uart::transfer() {
  if (tx_.transfer()) take(tx_.payload());
  if (rx_.transfer()) {
    ++shared_.stats.uart_rx_bytes;
    shared_.timeline.add(TimelineKind::BYTES_IN, {shared_.now, shared_.now, 0, 0, 0, 0, 1, 0, 0});
    waiting_.pop_front();
  }
  tick();
}

void Uart::drive() {
  tx_.drive(true, shared_.parameters.stall_uart_tx);
  rx_.drive(!waiting_.empty(), shared_.parameters.stall_uart_rx, [this] { return waiting_.front(); });
}

// A byte that the device does not take yet moves only when the guest does something.
bool Uart::calm() const {
  if (tx_.offered() || news_) return false;
  return rx_.valid() ? !rx_.accepted() : waiting_.empty();
}

void Uart::reset() {
  tx_.reset();
  rx_.reset();
}

void Uart::fetch(std::uint8_t* out, std::size_t count) {
  const auto end = sent_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(sent_.begin(), end, out);
  sent_.erase(sent_.begin(), end);
  news_ = false;
  unreported_ = 0;
}

void Uart::take(std::uint8_t byte) {
  ++shared_.stats.uart_tx_bytes;
  shared_.timeline.add(TimelineKind::BYTES_OUT, {shared_.now, shared_.now, 0, 0, 0, 0, 1, 0, 0});
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
  ++unreported_;
  last_ = shared_.now;
}

void Uart::tick() {
  if (!news_ || (unreported_ < most_unreported && shared_.now - last_ < pause_cycles)) return;
  shared_.event(EventKind::BYTES, 0, unreported_, 0);
  news_ = false;
  unreported_ = 0;
}

}  // namespace rw

extern "C" {

void rw_uart_send(rw::Host* host, const std::uint8_t* bytes, std::uint64_t count) noexcept {
  host->wake<rw::Uart>().send(bytes, count);
}

// How many bytes of the device wait.
std::uint64_t rw_uart_size(rw::Host* host) noexcept { return host->peripheral<rw::Uart>().size(); }

// Moves count of them, not more than there are, to out.
void rw_uart_fetch(rw::Host* host, std::uint8_t* out, std::uint64_t count) noexcept {
  host->peripheral<rw::Uart>().fetch(out, count);
}

void rw_uart_loopback(rw::Host* host, std::uint32_t on) noexcept { host->peripheral<rw::Uart>().loopback(on != 0); }

void rw_uart_terminal(rw::Host* host, std::uint32_t cols, std::uint32_t rows) noexcept {
  host->wake<rw::Uart>().terminal(cols, rows);
}

}  // extern "C"
