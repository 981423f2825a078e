// Descriptors as a device was shown them, and what a chain of them grants.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "fuzz_spec.h"
#include "shown.h"

namespace rw::fuzz {

inline constexpr std::uint64_t descriptor_bytes = 16;

// As in memory: what the last two fields are depends on the ring.
struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t third;
  std::uint16_t fourth;

  bool operator==(const Descriptor&) const = default;
  Range range() const { return {address, length}; }
};

// What one place of a table was, and when it was first and last shown so.
struct Version {
  Descriptor descriptor;
  Order first;
  Order last;
};

// A table of descriptors.
class Table {
 public:
  Table(std::uint64_t address, std::uint64_t rows) : address_(address), rows_(rows) {}

  std::uint64_t rows() const { return rows_; }
  Range range() const { return {address_, rows_ * descriptor_bytes}; }
  std::uint64_t address(std::uint64_t row) const { return address_ + row * descriptor_bytes; }

  // Takes the descriptors that a piece completes; gives each to found.
  void take(const Shown& shown, const Piece& piece, const std::function<void(const Descriptor&)>& found);

  const std::vector<Version>& versions(std::uint64_t row) const;

 private:
  std::uint64_t address_;
  std::uint64_t rows_;
  std::unordered_map<std::uint64_t, std::vector<Version>> versions_{};
};

// The tables of descriptors of one queue: the ring's own and indirect ones.
class Tables {
 public:
  // Which of the two last fields of a descriptor has the flags depends on the ring.
  Tables(std::uint64_t address, std::uint64_t rows, bool flags_last, bool indirect)
      : main_(address, rows), flags_last_(flags_last), indirect_(indirect) {}

  void take(const Shown& shown, const Piece& piece);

  const Table& main() const { return main_; }
  std::uint16_t flags(const Descriptor& d) const { return flags_last_ ? d.fourth : d.third; }

  // What is granted by a descriptor.
  enum class Grant { READ, WRITE, TABLE };
  using Visit = std::function<void(Grant, const Range&)>;

  // Visits what an indirect descriptor grants, or any other; tables as they were shown from order on.
  void visit(const Descriptor& d, Order order, bool linked, const Visit& visit) const;

  // Whether a range lies in an indirect table that any descriptor of the ring has named.
  bool in_indirect(const Range& range) const;

  bool indirect(const Descriptor& d) const { return indirect_ && (flags(d) & desc_indirect) != 0; }

 private:
  void add_table(const Descriptor& d);

  Table main_;
  bool flags_last_;
  bool indirect_;
  std::vector<Table> indirect_tables_{};
};

}  // namespace rw::fuzz
