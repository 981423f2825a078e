// The UART port's part of a cycle.
#include "host.h"

namespace rw {

#if RW_HAS_UART

void Host::transfer_uart() {
  const bool valid = pins_.uart_tx_valid();
  const std::uint8_t byte = pins_.uart_tx();
  uart_tx_check_.cycle(valid, uart_tx_ready_, byte);
  if (valid && uart_tx_ready_) uart_.take(byte);
  if (uart_rx_valid_ && pins_.uart_rx_ready()) {
    uart_.byte_taken();
    uart_rx_valid_ = false;
  }
  uart_.tick();
}

void Host::drive_uart() {
  const Parameters& p = shared_.parameters;
  uart_tx_ready_ = !stalls_.chance(p.stall_uart_tx);
  pins_.uart_tx_ready(uart_tx_ready_);
  if (!uart_rx_valid_ && uart_.has_byte() && !stalls_.chance(p.stall_uart_rx)) {
    uart_rx_valid_ = true;
    pins_.uart_rx(uart_.byte());
  }
  pins_.uart_rx_valid(uart_rx_valid_);
}

// A byte that the device does not take yet moves only when the guest does something.
bool Host::calm_uart() const {
  if (pins_.uart_tx_valid() || !uart_.told()) return false;
  return uart_rx_valid_ ? !pins_.uart_rx_ready() : !uart_.has_byte();
}

// What the terminal has waits; a byte that was offered is offered again.
void Host::reset_uart() {
  uart_tx_check_.reset();
  uart_tx_ready_ = uart_rx_valid_ = false;
  pins_.uart_tx_ready(false);
  pins_.uart_rx_valid(false);
}

#else

void Host::transfer_uart() {}
void Host::drive_uart() {}
bool Host::calm_uart() const { return true; }
void Host::reset_uart() {}

#endif

}  // namespace rw
