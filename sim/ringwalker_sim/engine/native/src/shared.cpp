#include "shared.h"

#include <cstdarg>
#include <cstdio>

namespace rw {

void Shared::event(EventKind kind, std::uint32_t status, std::uint64_t a, std::uint64_t b) {
  const bool passing = kind == EventKind::FAULT;
  if (passing && events.size() >= most_events) return;
  events.push_back(Event{static_cast<std::uint32_t>(kind), status, now, a, b});
  stop = stop || !passing;
}

void Shared::violation(const char* format, ...) {
  ++stats.violations;
  if (violations_.size() >= most_violations) return;
  char text[256];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  violations_.push_back("cycle " + std::to_string(now) + ": " + text);
  event(EventKind::ERROR, 0, 0, 0);
}

bool Shared::take_violation(std::string& text) {
  if (violations_.empty()) return false;
  text = std::move(violations_.front());
  violations_.pop_front();
  return true;
}

}  // namespace rw
