// Copies to and from memory that another process shares and may take away, by cutting the file behind it: an access
// to what is gone (SIGBUS) ends the copy and not this process.
#pragma once

#include <cstddef>

namespace rw {

// Whether all bytes are copied. If not, some may be.
bool guarded_copy(void* to, const void* from, std::size_t length);

}  // namespace rw
