// The bytes of a disk: memory of this process, or a file. A file is read and written by system calls, so that
// what its file system refuses is an error number here, and no signal.
#pragma once

#include <cstdint>

namespace rw {

class Image {
 public:
  // The file ends before the bytes that are asked for: somebody has cut it.
  static constexpr int cut = -1;

  // No bytes at all.
  Image() = default;

  // Bytes at memory, which must stay where they are.
  Image(std::uint8_t* memory, std::uint64_t size) : memory_(memory), size_(size) {}

  // The file behind the descriptor, of which a duplicate is kept; a regular one never grows.
  Image(int descriptor, std::uint64_t size);

  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  Image(Image&& other) noexcept { swap(other); }
  Image& operator=(Image&& other) noexcept {
    swap(other);
    return *this;
  }

  std::uint64_t size() const { return size_; }

  // Each gives 0, an error number, or cut. After an error nothing is known of the bytes.
  int read(std::uint64_t offset, std::uint8_t* out, std::uint64_t length) const;
  int write(std::uint64_t offset, const std::uint8_t* from, std::uint64_t length);

  // What was written is on the store. Once that has failed it always does: the store may have lost anything.
  int flush();

 private:
  void swap(Image& other) noexcept;

  std::uint8_t* memory_ = nullptr;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
  bool regular_ = false;
  int lost_ = 0;  // the error of the flush that failed
};

}  // namespace rw
