// The face to ctypes. Python checks arguments.
#include "oracle.h"
#include "runner.h"

namespace {

// The rules alone, for events that no device has made.
struct Judge {
  explicit Judge(const rw::fuzz::Settings& settings) : oracle(settings, findings) {}

  rw::fuzz::Findings findings{};
  rw::fuzz::Oracle oracle;
};

}  // namespace

using rw::fuzz::Runner;

extern "C" {

Runner* rwf_open(rw::CompanionHost* host, const rw::fuzz::Settings* settings) noexcept { return new Runner(*host, *settings); }

void rwf_close(Runner* runner) noexcept { delete runner; }

// The companion that rw_accompany takes.
rw::Companion* rwf_companion(Runner* runner) noexcept { return runner; }

void rwf_begin(Runner* runner, const rw::fuzz::Record* records, std::uint64_t count, std::uint64_t body,
               std::uint64_t recovery) noexcept {
  runner->begin({records, count}, body, recovery);
}

std::uint64_t rwf_findings(Runner* runner, rw::fuzz::FoundText* out, std::uint64_t room) noexcept {
  const auto& all = runner->findings().all();
  for (std::size_t i = 0; i < all.size() && i < room; ++i) {
    out[i] = {all[i].rule.c_str(), all[i].text.c_str(), all[i].cycle, all[i].operation};
  }
  return all.size();
}

Judge* rwf_judge_open(const rw::fuzz::Settings* settings) noexcept { return new Judge(*settings); }

void rwf_judge_close(Judge* judge) noexcept { delete judge; }

// A request of whole dwords, with data for a write, from the driver (down) or from the device.
void rwf_judge_request(Judge* judge, std::uint32_t down, std::uint32_t kind, std::uint64_t address, std::uint32_t tag,
                       std::uint32_t first_be, const std::uint32_t* data, std::uint32_t dwords) noexcept {
  rw::RequestPacket packet;
  packet.header.kind = static_cast<rw::RequestKind>(kind);
  packet.header.address = address;
  packet.header.tag = static_cast<std::uint16_t>(tag);
  packet.header.length = static_cast<std::uint16_t>(dwords);
  packet.header.first_be = static_cast<std::uint8_t>(first_be);
  packet.header.last_be = dwords == 1 ? 0 : 0xf;
  if (rw::is_write(packet.header.kind)) packet.payload.assign(data, data + dwords);
  if (down != 0) return judge->oracle.offered(packet);
  judge->oracle.arrived(packet);
}

// The answer of a read, whole, by the device (up) or to it.
void rwf_judge_answer(Judge* judge, std::uint32_t up, std::uint32_t tag, const std::uint32_t* data, std::uint32_t dwords) noexcept {
  rw::CompletionPacket packet;
  packet.header.has_data = true;
  packet.header.tag = static_cast<std::uint16_t>(tag);
  packet.header.length = static_cast<std::uint16_t>(dwords);
  packet.header.byte_count = static_cast<std::uint16_t>(4 * dwords);
  packet.payload.assign(data, data + dwords);
  if (up != 0) return judge->oracle.arrived(packet);
  judge->oracle.offered(packet);
}

std::uint64_t rwf_judge_findings(Judge* judge, rw::fuzz::FoundText* out, std::uint64_t room) noexcept {
  const auto& all = judge->findings.all();
  for (std::size_t i = 0; i < all.size() && i < room; ++i) {
    out[i] = {all[i].rule.c_str(), all[i].text.c_str(), all[i].cycle, all[i].operation};
  }
  return all.size();
}

}  // extern "C"
