// The face to ctypes of the terminal behind the UART port.
#include "host.h"

using rw::Host;

extern "C" {

void rw_uart_send(Host* host, const std::uint8_t* bytes, std::uint64_t count) noexcept { host->type(bytes, count); }

// How many bytes of the device wait.
std::uint64_t rw_uart_size(Host* host) noexcept { return host->uart().size(); }

// Moves count of them, not more than there are, to out.
void rw_uart_fetch(Host* host, std::uint8_t* out, std::uint64_t count) noexcept { host->uart().fetch(out, count); }

void rw_uart_loopback(Host* host, std::uint32_t on) noexcept { host->uart().loopback(on != 0); }

void rw_terminal(Host* host, std::uint32_t cols, std::uint32_t rows) noexcept { host->terminal(cols, rows); }

}  // extern "C"
