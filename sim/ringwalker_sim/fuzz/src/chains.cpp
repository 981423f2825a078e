#include "chains.h"

#include <algorithm>
#include <cstring>

namespace rw::fuzz {

void Table::take(const Shown& shown, const Piece& piece, const std::function<void(const Descriptor&)>& found) {
  if (!range().meets(piece.range())) return;
  const std::uint64_t from = piece.address > address_ ? (piece.address - address_) / descriptor_bytes : 0;
  const std::uint64_t to = std::min(rows_, (piece.address + piece.bytes.size() - address_ + descriptor_bytes - 1) / descriptor_bytes);
  for (std::uint64_t row = from; row < to; ++row) {
    std::uint8_t raw[descriptor_bytes];
    Order order;
    if (!shown.get(address(row), sizeof raw, raw, order)) continue;
    Descriptor d;
    std::memcpy(&d.address, raw, 8);
    std::memcpy(&d.length, raw + 8, 4);
    std::memcpy(&d.third, raw + 12, 2);
    std::memcpy(&d.fourth, raw + 14, 2);
    std::vector<Version>& versions = versions_[row];
    const auto same = std::find_if(versions.begin(), versions.end(), [&](const Version& v) { return v.descriptor == d; });
    if (same != versions.end()) {
      same->last = std::max(same->last, order);
    } else {
      versions.push_back({d, order, order});
    }
    found(d);
  }
}

const std::vector<Version>& Table::versions(std::uint64_t row) const {
  static const std::vector<Version> none;
  const auto found = versions_.find(row);
  return found == versions_.end() ? none : found->second;
}

void Tables::take(const Shown& shown, const Piece& piece) {
  std::vector<Descriptor> tables;
  main_.take(shown, piece, [&](const Descriptor& d) {
    if (indirect(d)) tables.push_back(d);
  });
  for (const Descriptor& d : tables) add_table(d);
  for (Table& table : indirect_tables_) table.take(shown, piece, [](const Descriptor&) {});
}

bool Tables::in_indirect(const Range& range) const {
  return std::any_of(indirect_tables_.begin(), indirect_tables_.end(), [&](const Table& t) { return t.range().holds(range); });
}

void Tables::add_table(const Descriptor& d) {
  const auto same = [&](const Table& t) { return t.address(0) == d.address && t.rows() == d.length / descriptor_bytes; };
  if (std::any_of(indirect_tables_.begin(), indirect_tables_.end(), same)) return;
  indirect_tables_.emplace_back(d.address, d.length / descriptor_bytes);
}

void Tables::visit(const Descriptor& d, Order order, bool linked, const Visit& visit) const {
  if (!indirect(d)) {
    visit((flags(d) & desc_write) != 0 ? Grant::WRITE : Grant::READ, d.range());
    return;
  }
  visit(Grant::TABLE, d.range());
  for (const Table& table : indirect_tables_) {
    if (table.address(0) != d.address || table.rows() != d.length / descriptor_bytes) continue;
    // Rows that are reached: in their order, or as each says.
    std::vector<std::uint64_t> rows{0};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const Version& v : table.versions(rows[i])) {
        if (v.last < order) continue;
        visit((flags(v.descriptor) & desc_write) != 0 ? Grant::WRITE : Grant::READ, v.descriptor.range());
        const bool more = !linked || (flags(v.descriptor) & desc_next) != 0;
        const std::uint64_t next = linked ? v.descriptor.fourth : rows[i] + 1;
        if (more && next < table.rows() && std::find(rows.begin(), rows.end(), next) == rows.end()) rows.push_back(next);
      }
    }
  }
}

}  // namespace rw::fuzz
