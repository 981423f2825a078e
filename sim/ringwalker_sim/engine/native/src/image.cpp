#include "image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace rw {

Image::Image(int descriptor, std::uint64_t size) : size_(size), descriptor_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {
  struct stat status {};
  regular_ = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
}

Image::~Image() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Image::swap(Image& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(regular_, other.regular_);
  std::swap(lost_, other.lost_);
}

int Image::read(std::uint64_t offset, std::uint8_t* out, std::uint64_t length) const {
  if (memory_ != nullptr) {
    std::memcpy(out, memory_ + offset, length);
    return 0;
  }
  while (length != 0) {
    const ssize_t count = pread(descriptor_, out, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0 ? cut : errno;
    out += count;
    offset += static_cast<std::uint64_t>(count);
    length -= static_cast<std::uint64_t>(count);
  }
  return 0;
}

int Image::write(std::uint64_t offset, const std::uint8_t* from, std::uint64_t length) {
  if (memory_ != nullptr) {
    std::memcpy(memory_ + offset, from, length);
    return 0;
  }
  // A write behind the end would make the file longer, with zeros for what was cut off.
  struct stat status {};
  if (regular_ && fstat(descriptor_, &status) != 0) return errno;
  if (regular_ && offset + length > static_cast<std::uint64_t>(status.st_size)) return cut;
  while (length != 0) {
    const ssize_t count = pwrite(descriptor_, from, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0 ? ENOSPC : errno;
    from += count;
    offset += static_cast<std::uint64_t>(count);
    length -= static_cast<std::uint64_t>(count);
  }
  return 0;
}

int Image::flush() {
  if (memory_ != nullptr || lost_ != 0) return lost_;
  int result = 0;
  do {
    result = fdatasync(descriptor_);
  } while (result != 0 && errno == EINTR);
  const bool refused = result != 0 && errno != EINVAL && errno != ENOTSUP;  // not a store that can be flushed
  if (refused) lost_ = errno;
  return lost_;
}

}  // namespace rw
