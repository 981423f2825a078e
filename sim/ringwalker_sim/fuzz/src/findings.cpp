#include "findings.h"

#include <cstdarg>
#include <cstdio>

namespace rw::fuzz {

void Findings::add(const char* rule, const char* format, ...) {
  if (all_.size() >= most) return;
  char text[256];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  all_.push_back({rule, text, cycle, operation});
}

}  // namespace rw::fuzz
