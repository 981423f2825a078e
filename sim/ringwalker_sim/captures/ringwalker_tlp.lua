-- Shows the TLPs of a capture that Ringwalker has written with --tlp-pcap (link type USER0).
--
--   wireshark -X lua_script:ringwalker_tlp.lua tlps.pcapng
--   tshark -X lua_script:ringwalker_tlp.lua -r tlps.pcapng
--
-- A packet is a head of 16 bytes (docs/captures.md), then a TLP as on the wire.
-- Ref: PCI Express Base 3.1, 2.2; 4.0, 2.2.6.2 (tags of ten bits).

local tlp = Proto("pcietlp", "PCI Express TLP")

local HEAD_BYTES, VERSION, USER0 = 16, 1, 45

local directions = { [0] = "from the device", [1] = "to the device" }
local formats = {
  [0] = "3 dwords, no data", [1] = "4 dwords, no data", [2] = "3 dwords, data", [3] = "4 dwords, data",
  [4] = "prefix",
}
local statuses = {
  [0] = "Successful Completion", [1] = "Unsupported Request", [2] = "Configuration Request Retry", [4] = "Completer Abort",
}
local short_statuses = { [1] = "UR", [2] = "CRS", [4] = "CA" }
local codes = {
  [0x20] = "Assert_INTA", [0x21] = "Assert_INTB", [0x22] = "Assert_INTC", [0x23] = "Assert_INTD",
  [0x24] = "Deassert_INTA", [0x25] = "Deassert_INTB", [0x26] = "Deassert_INTC", [0x27] = "Deassert_INTD",
  [0x30] = "ERR_COR", [0x31] = "ERR_NONFATAL", [0x33] = "ERR_FATAL",
}
local COMPLETION = 0x0a

-- Names by format and type: with data, without.
local kinds = {
  [0x00] = { read = "MRd", write = "MWr" }, [0x01] = { read = "MRdLk", write = "MWrLk" },
  [0x02] = { read = "IORd", write = "IOWr" }, [0x04] = { read = "CfgRd0", write = "CfgWr0" },
  [0x05] = { read = "CfgRd1", write = "CfgWr1" }, [COMPLETION] = { read = "Cpl", write = "CplD" },
  [0x0b] = { read = "CplLk", write = "CplDLk" },
}

local f = {
  direction = ProtoField.uint8("pcietlp.direction", "Direction", base.DEC, directions),
  wire = ProtoField.uint16("pcietlp.wire", "Bytes on the link", base.DEC),
  time = ProtoField.uint32("pcietlp.link_time", "Time on the link (ps)", base.DEC),
  cycle = ProtoField.uint64("pcietlp.cycle", "Cycle", base.DEC),
  kind = ProtoField.string("pcietlp.kind", "Kind"),
  fmt = ProtoField.uint8("pcietlp.fmt", "Format", base.HEX, formats, 0xe0),
  type = ProtoField.uint8("pcietlp.type", "Type", base.HEX, nil, 0x1f),
  tc = ProtoField.uint8("pcietlp.tc", "Traffic class", base.DEC, nil, 0x70),
  digest = ProtoField.bool("pcietlp.td", "Digest", 8, nil, 0x80),
  poisoned = ProtoField.bool("pcietlp.ep", "Poisoned", 8, nil, 0x40),
  relaxed = ProtoField.bool("pcietlp.attr.ro", "Relaxed ordering", 8, nil, 0x20),
  no_snoop = ProtoField.bool("pcietlp.attr.ns", "No snoop", 8, nil, 0x10),
  id_order = ProtoField.bool("pcietlp.attr.ido", "ID-based ordering", 8, nil, 0x04),
  length = ProtoField.uint16("pcietlp.length", "Length (dwords)", base.DEC),
  requester = ProtoField.string("pcietlp.requester", "Requester ID"),
  completer = ProtoField.string("pcietlp.completer", "Completer ID"),
  target = ProtoField.string("pcietlp.target", "Target ID"),
  tag = ProtoField.uint16("pcietlp.tag", "Tag", base.DEC),
  first_be = ProtoField.uint8("pcietlp.first_be", "First byte enables", base.HEX, nil, 0x0f),
  last_be = ProtoField.uint8("pcietlp.last_be", "Last byte enables", base.HEX, nil, 0xf0),
  address = ProtoField.uint64("pcietlp.address", "Address", base.HEX),
  register = ProtoField.uint16("pcietlp.register", "Register", base.HEX),
  code = ProtoField.uint8("pcietlp.code", "Message code", base.HEX, codes),
  status = ProtoField.uint8("pcietlp.status", "Completion status", base.DEC, statuses, 0xe0),
  count = ProtoField.uint16("pcietlp.byte_count", "Byte count", base.DEC),
  lower = ProtoField.uint8("pcietlp.lower_address", "Lower address", base.HEX, nil, 0x7f),
  data = ProtoField.bytes("pcietlp.data", "Data"),
  response = ProtoField.framenum("pcietlp.response_in", "Response in", base.NONE, frametype.RESPONSE),
  request = ProtoField.framenum("pcietlp.request_in", "Request in", base.NONE, frametype.REQUEST),
  latency = ProtoField.double("pcietlp.latency", "Time since the request (ns)"),
}
local fields = {}
for _, field in pairs(f) do fields[#fields + 1] = field end
tlp.fields = fields

local bad = ProtoExpert.new("pcietlp.malformed", "The TLP is not whole", expert.group.MALFORMED, expert.severity.ERROR)
local strange = ProtoExpert.new("pcietlp.version", "Another version of the head", expert.group.PROTOCOL, expert.severity.WARN)
local failed = ProtoExpert.new("pcietlp.failed", "The request has failed", expert.group.RESPONSE_CODE, expert.severity.NOTE)
local alone = ProtoExpert.new("pcietlp.unexpected", "No request waits for this completion", expert.group.SEQUENCE, expert.severity.WARN)
tlp.experts = { bad, strange, failed, alone }

-- Found in the first pass: requests that wait, by direction, requester and tag; and who belongs to whom by frame.
local waiting, answers, questions

function tlp.init()
  waiting, answers, questions = {}, {}, {}
end

local function id(range)
  local value = range:uint()
  return string.format("%02x:%02x.%x", bit.rshift(value, 8), bit.band(bit.rshift(value, 3), 31), bit.band(value, 7))
end

-- Bytes that a request asks for, as its byte enables say: to the last one from the first one.
local function asked(length, first_be, last_be)
  local skip, over = 0, 0
  if first_be == 0 then return 1 end
  while bit.band(bit.rshift(first_be, skip), 1) == 0 do skip = skip + 1 end
  local last = length == 1 and first_be or last_be
  if last == 0 then return 4 * length - skip end
  while bit.band(bit.lshift(last, over), 8) == 0 do over = over + 1 end
  return 4 * length - skip - over, skip
end

local function tag_of(buffer)
  local high = buffer(1, 1):uint()
  local upper = bit.bor(bit.band(bit.rshift(high, 6), 2), bit.band(bit.rshift(high, 3), 1))
  return bit.bor(bit.lshift(upper, 8), buffer(6, 1):uint())
end

local function link_back(tree, pinfo, key, final)
  if not pinfo.visited then
    local question = waiting[key]
    if question then
      questions[pinfo.number] = question
      local list = answers[question.number] or {}
      list[#list + 1] = pinfo.number
      answers[question.number] = list
      if final then waiting[key] = nil end
    end
  end
  local question = questions[pinfo.number]
  if question == nil then
    tree:add_proto_expert_info(alone)
    return
  end
  tree:add(f.request, question.number):set_generated()
  local apart = (pinfo.abs_ts - question.time) * 1e9
  tree:add(f.latency, math.floor(apart + 0.5)):set_generated()
end

local function common(tree, buffer, kind, length)
  tree:add(f.kind, kind):set_generated()
  tree:add(f.fmt, buffer(0, 1))
  tree:add(f.type, buffer(0, 1))
  tree:add(f.tc, buffer(1, 1))
  tree:add(f.id_order, buffer(1, 1))
  for _, field in ipairs({ f.digest, f.poisoned, f.relaxed, f.no_snoop }) do tree:add(field, buffer(2, 1)) end
  tree:add(f.length, buffer(2, 2), length)
end

local function completion(tree, buffer, pinfo, direction, kind, length, with_data)
  local status = bit.rshift(buffer(6, 1):uint(), 5)
  local count = bit.band(buffer(6, 2):uint(), 0xfff)
  if count == 0 then count = 4096 end
  local lower = bit.band(buffer(11, 1):uint(), 0x7f)
  local tag = bit.bor(bit.band(tag_of(buffer), 0x300), buffer(10, 1):uint())
  tree:add(f.completer, buffer(4, 2), id(buffer(4, 2)))
  tree:add(f.status, buffer(6, 1))
  tree:add(f.count, buffer(6, 2), count)
  tree:add(f.requester, buffer(8, 2), id(buffer(8, 2)))
  tree:add(f.tag, buffer(10, 1), tag)
  tree:add(f.lower, buffer(11, 1))
  local bytes = with_data and math.min(count, 4 * length - bit.band(lower, 3)) or 0
  local final = status ~= 0 or not with_data or bytes >= count
  link_back(tree, pinfo, string.format("%d %x %x", 1 - direction, buffer(8, 2):uint(), tag), final)
  local text = with_data and string.format("%s %dB tag %d", kind, bytes, tag) or string.format("%s tag %d", kind, tag)
  if status ~= 0 then
    text = text .. " " .. (short_statuses[status] or string.format("status %d", status))
    tree:add_proto_expert_info(failed)
  elseif not final then
    text = text .. string.format(", %d more", count - bytes)
  end
  return text
end

local function request(tree, buffer, pinfo, direction, kind, type, length, with_data, far)
  local enables = buffer(7, 1):uint()
  local first_be, last_be = bit.band(enables, 15), bit.rshift(enables, 4)
  local tag = tag_of(buffer)
  tree:add(f.requester, buffer(4, 2), id(buffer(4, 2)))
  tree:add(f.tag, buffer(6, 1), tag)
  if type >= 0x10 and type < 0x18 then
    local code = buffer(7, 1):uint()
    tree:add(f.code, buffer(7, 1))
    return string.format("%s %s", with_data and "MsgD" or "Msg", codes[code] or string.format("code 0x%02x", code))
  end
  tree:add(f.first_be, buffer(7, 1))
  tree:add(f.last_be, buffer(7, 1))
  local posted = with_data and type == 0
  local bytes, skip = asked(length, first_be, last_be)
  local place
  if type == 4 or type == 5 then
    local register = bit.band(buffer(10, 2):uint(), 0xffc)
    tree:add(f.target, buffer(8, 2), id(buffer(8, 2)))
    tree:add(f.register, buffer(10, 2), register)
    place = string.format("%s+0x%x", id(buffer(8, 2)), register + (skip or 0))
  else
    local range = far and buffer(8, 8) or buffer(8, 4)
    local address = far and range:uint64() or UInt64(range:uint())
    tree:add(f.address, range, address)
    local text = (address + UInt64(skip or 0)):tohex():gsub("^0+", "")
    place = "0x" .. (text == "" and "0" or text)
  end
  if posted then return string.format("%s %dB @%s", kind, bytes, place) end
  local key = string.format("%d %x %x", direction, buffer(4, 2):uint(), tag)
  if not pinfo.visited then waiting[key] = { number = pinfo.number, time = pinfo.abs_ts } end
  for _, number in ipairs(answers[pinfo.number] or {}) do tree:add(f.response, number):set_generated() end
  return string.format("%s %dB tag %d @%s", kind, bytes, tag, place)
end

function tlp.dissector(whole, pinfo, root)
  pinfo.cols.protocol = "TLP"
  local tree = root:add(tlp, whole())
  if whole:len() < HEAD_BYTES + 12 then
    tree:add_proto_expert_info(bad)
    return
  end
  if whole(0, 1):uint() ~= VERSION then
    tree:add_proto_expert_info(strange)
    return
  end
  local direction = whole(1, 1):uint()
  tree:add(f.direction, whole(1, 1))
  tree:add(f.wire, whole(2, 2))
  tree:add(f.time, whole(4, 4))
  tree:add(f.cycle, whole(8, 8))
  pinfo.cols.src = direction == 0 and "device" or "host"
  pinfo.cols.dst = direction == 0 and "host" or "device"

  local buffer = whole(HEAD_BYTES):tvb()
  local first = buffer(0, 1):uint()
  local fmt, type = bit.rshift(first, 5), bit.band(first, 0x1f)
  local with_data, far = bit.band(fmt, 2) ~= 0, bit.band(fmt, 1) ~= 0
  local length = bit.band(buffer(2, 2):uint(), 0x3ff)
  if length == 0 then length = 1024 end
  local message = type >= 0x10 and type < 0x18
  local names = kinds[type]
  local kind = message and (with_data and "MsgD" or "Msg") or names and (with_data and names.write or names.read)
  kind = kind or string.format("TLP of type 0x%02x", type)
  local header = far and 16 or 12
  if fmt > 3 or buffer:len() ~= header + (with_data and 4 * length or 0) then
    tree:add_proto_expert_info(bad)
    pinfo.cols.info = kind .. " [not whole]"
    return
  end
  common(tree, buffer, kind, length)
  local is_completion = type == COMPLETION or type == 0x0b
  local text
  if is_completion then
    text = completion(tree, buffer, pinfo, direction, kind, length, with_data)
  else
    text = request(tree, buffer, pinfo, direction, kind, type, length, with_data, far)
  end
  if bit.band(buffer(2, 1):uint(), 0x40) ~= 0 then text = text .. " poisoned" end
  if with_data then tree:add(f.data, buffer(header)) end
  tree:append_text(", " .. text)
  pinfo.cols.info = text
end

DissectorTable.get("wtap_encap"):add(USER0, tlp)
