#include "bytecode.h"

#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace interlock::policies {
namespace {

// Lua 5.4, lopcodes.h (order of the enum) and ldump.c (order of the parts). ScanFunction refuses
// any other header, and a test pins what is found in known functions.
enum Op : unsigned {
  kMove = 0,
  kLoadNil = 8,
  kGetUpval = 9,
  kSetUpval = 10,
  kGetTabUp = 11,
  kGetField = 14,
  kSetTabUp = 15,
  kSetTable = 16,
  kSetI = 17,
  kSetField = 18,
  kSelf = 20,
  kLFalseSkip = 6,
  kMmBin = 46,
  kMmBinK = 48,
  kClose = 54,
  kTbc = 55,
  kJmp = 56,
  kEq = 57,
  kTest = 66,
  kTestSet = 67,
  kCall = 68,
  kTailCall = 69,
  kReturn = 70,
  kReturn1 = 72,
  kForLoop = 73,
  kForPrep = 74,
  kTForPrep = 75,
  kTForCall = 76,
  kTForLoop = 77,
  kSetList = 78,
  kClosure = 79,
  kVararg = 80,
  kVarargPrep = 81,
  kExtraArg = 82,
};

constexpr std::string_view kGlobals = "_ENV";

struct Instruction {
  unsigned op, a, b, c, bx;
  int jump;
  explicit Instruction(std::uint32_t word)
      : op(word & 0x7F),
        a((word >> 7) & 0xFF),
        b((word >> 16) & 0xFF),
        c(word >> 24),
        bx(word >> 15),
        jump(static_cast<int>(word >> 7) - ((1 << 24) - 1)) {}
};

struct UpvalueDesc {
  bool in_stack = false;
  unsigned index = 0;
  std::string name;
};

struct Proto {
  int line = 0;
  unsigned params = 0;
  unsigned registers = 0;
  std::vector<std::uint32_t> code;
  std::vector<std::optional<std::string>> constants;  // texts only
  std::vector<UpvalueDesc> upvalues;
  std::vector<Proto> protos;
  std::vector<int> lines;

  const std::optional<std::string>& Constant(unsigned at) const {
    static const std::optional<std::string> kNone;
    return at < constants.size() ? constants[at] : kNone;
  }
};

// Reads a dump of our own making; `ok` turns false at the first surprise.
class DumpReader {
 public:
  explicit DumpReader(std::string_view dump) : rest_(dump) {}
  bool ok() const { return ok_; }

  bool Header() {
    constexpr std::string_view kHead("\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08", 15);
    if (Bytes(15) != kHead) return false;
    Bytes(16);  // the check integer and number
    Byte();     // upvalues of the function
    return ok_;
  }

  Proto Function() {
    Proto proto;
    Text();
    proto.line = static_cast<int>(Size());
    Size();
    proto.params = Byte();
    Byte();
    proto.registers = Byte();
    const std::size_t instructions = Size();
    for (std::size_t i = 0; i < instructions && ok_; ++i) {
      std::uint32_t word = 0;
      const std::string_view bytes = Bytes(4);
      if (ok_) std::memcpy(&word, bytes.data(), 4);
      proto.code.push_back(word);
    }
    Constants(proto);
    Upvalues(proto);
    const std::size_t protos = Size();
    for (std::size_t i = 0; i < protos && ok_; ++i) proto.protos.push_back(Function());
    Debug(proto);
    return proto;
  }

 private:
  unsigned Byte() {
    const std::string_view byte = Bytes(1);
    return ok_ ? static_cast<unsigned char>(byte[0]) : 0;
  }

  std::string_view Bytes(std::size_t count) {
    if (count > rest_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::size_t Size() {
    std::size_t value = 0;
    for (unsigned byte = 0; ok_ && (byte & 0x80) == 0;) {
      byte = Byte();
      value = (value << 7) | (byte & 0x7F);
    }
    return value;
  }

  std::string Text() {
    const std::size_t size = Size();
    return size == 0 ? "" : std::string(Bytes(size - 1));
  }

  void Constants(Proto& proto) {
    const std::size_t count = Size();
    for (std::size_t i = 0; i < count && ok_; ++i) {
      const unsigned type = Byte();
      std::optional<std::string> text;
      if (type == 0x04 || type == 0x14) {
        text = Text();
      } else if (type == 0x03 || type == 0x13) {
        Bytes(8);
      } else if (type != 0x00 && type != 0x01 && type != 0x11) {
        ok_ = false;
      }
      proto.constants.push_back(std::move(text));
    }
  }

  void Upvalues(Proto& proto) {
    const std::size_t count = Size();
    for (std::size_t i = 0; i < count && ok_; ++i) {
      UpvalueDesc upvalue;
      upvalue.in_stack = Byte() != 0;
      upvalue.index = Byte();
      Byte();
      proto.upvalues.push_back(std::move(upvalue));
    }
  }

  void Debug(Proto& proto) {
    const std::size_t infos = Size();
    const std::string_view deltas = Bytes(infos);
    std::map<std::size_t, int> absolute;
    for (std::size_t i = 0, count = Size(); i < count && ok_; ++i) {
      const std::size_t pc = Size();
      absolute[pc] = static_cast<int>(Size());
    }
    int line = proto.line;
    for (std::size_t pc = 0; pc < deltas.size(); ++pc) {
      const auto delta = static_cast<signed char>(deltas[pc]);
      line = delta == -128 ? absolute[pc] : line + delta;
      proto.lines.push_back(line);
    }
    for (std::size_t i = 0, count = Size(); i < count && ok_; ++i) {
      Text();
      Size();
      Size();
    }
    for (std::size_t i = 0, count = Size(); i < count && ok_; ++i) {
      std::string name = Text();
      if (i < proto.upvalues.size()) proto.upvalues[i].name = std::move(name);
    }
  }

  std::string_view rest_;
  bool ok_ = true;
};

using Path = std::vector<std::string>;

// Paths as small numbers; 0 is "unknown", 1 is the context itself.
class Paths {
 public:
  Paths() : paths_(2) {}
  int Extend(int base, const std::string& key) {
    if (base == 0) return 0;
    const auto [at, fresh] = ids_.emplace(std::pair(base, key), static_cast<int>(paths_.size()));
    if (fresh) {
      Path path = paths_[base];
      path.push_back(key);
      paths_.push_back(std::move(path));
    }
    return at->second;
  }
  const Path& Of(int id) const { return paths_[id]; }

 private:
  std::map<std::pair<int, std::string>, int> ids_;
  std::vector<Path> paths_;
};

using Registers = std::vector<int>;

// Follows constant fields of the context through registers: a forward data flow whose join keeps
// only what both ways agree on. What it cannot follow is unknown, never guessed.
class FieldFlow {
 public:
  FieldFlow(const Proto& proto, std::vector<int> upvalues, Paths& paths,
            std::vector<FieldAccess>& found)
      : proto_(proto),
        upvalues_(std::move(upvalues)),
        paths_(paths),
        found_(found),
        in_(proto.code.size()) {}

  void Run(int first_argument) {
    if (proto_.code.empty()) return;
    Registers start(proto_.registers + 1, 0);
    if (proto_.params > 0) start[0] = first_argument;
    Join(0, start);
    while (!work_.empty()) {
      const std::size_t pc = *work_.begin();
      work_.erase(work_.begin());
      Registers registers = *in_[pc];
      Apply(pc, registers);
      for (const std::size_t next : Next(pc)) Join(next, registers);
    }
    for (std::size_t pc = 0; pc < proto_.code.size(); ++pc) {
      if (in_[pc]) Record(pc, *in_[pc]);
    }
  }

 private:
  void Join(std::size_t pc, const Registers& registers) {
    if (pc >= in_.size()) return;
    if (!in_[pc]) {
      in_[pc] = registers;
      work_.insert(pc);
      return;
    }
    bool changed = false;
    for (std::size_t i = 0; i < registers.size(); ++i) {
      int& known = (*in_[pc])[i];
      if (known != 0 && known != registers[i]) {
        known = 0;
        changed = true;
      }
    }
    if (changed) work_.insert(pc);
  }

  std::vector<std::size_t> Next(std::size_t pc) const {
    const Instruction i(proto_.code[pc]);
    if (i.op == kJmp) return {pc + 1 + i.jump};
    if (i.op >= kEq && i.op <= kTestSet) return {pc + 1, pc + 2};
    if (i.op == kLFalseSkip) return {pc + 2};
    if (i.op == kForLoop || i.op == kTForLoop) return {pc + 1, pc + 1 - i.bx};
    if (i.op == kForPrep) return {pc + 1, pc + 2 + i.bx};
    if (i.op == kTForPrep) return {pc + 1 + i.bx};
    if (i.op >= kReturn && i.op <= kReturn1) return {};
    return {pc + 1};
  }

  static void Clear(Registers& registers, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i <= to && i < registers.size(); ++i) registers[i] = 0;
  }

  int UpvalueAt(std::size_t i) const { return i < upvalues_.size() ? upvalues_[i] : 0; }

  int At(const Registers& registers, std::size_t i) const {
    return i < registers.size() ? registers[i] : 0;
  }

  void Apply(std::size_t pc, Registers& registers) {
    const Instruction i(proto_.code[pc]);
    const std::size_t all = registers.size();
    if (i.op == kSetUpval || (i.op >= kSetTabUp && i.op <= kSetField) ||
        (i.op >= kMmBin && i.op <= kMmBinK) || (i.op >= kClose && i.op <= kTest) ||
        (i.op >= kTailCall && i.op <= kReturn1) || i.op == kSetList || i.op == kVarargPrep ||
        i.op == kExtraArg || i.op == kTForLoop) {
      return;
    }
    int value = 0;
    if (i.op == kMove) value = At(registers, i.b);
    if (i.op == kGetUpval) value = UpvalueAt(i.b);
    if (i.op == kGetField || i.op == kGetTabUp) value = Extended(registers, i);
    const int self = i.op == kSelf ? At(registers, i.b) : 0;
    Clear(registers, i.a, WrittenUpTo(i, all));
    if (i.a < all) registers[i.a] = value;
    if (i.op == kSelf && i.a + 1 < all) registers[i.a + 1] = self;
  }

  static std::size_t WrittenUpTo(const Instruction& i, std::size_t all) {
    if (i.op == kLoadNil) return i.a + i.b;
    if (i.op == kSelf) return i.a + 1;
    if (i.op == kForLoop || i.op == kForPrep || i.op == kTForPrep) return i.a + 3;
    if (i.op == kCall || i.op == kVararg || i.op == kTForCall) return all;
    return i.a;
  }

  int Extended(const Registers& registers, const Instruction& i) {
    const std::optional<std::string>& key = proto_.Constant(i.c);
    const int base = i.op == kGetField ? At(registers, i.b) : UpvalueAt(i.b);
    return key ? paths_.Extend(base, *key) : 0;
  }

  void Record(std::size_t pc, const Registers& registers) {
    const Instruction i(proto_.code[pc]);
    if (i.op == kGetField || i.op == kGetTabUp) {
      const int path = Extended(registers, i);
      const int line = pc < proto_.lines.size() ? proto_.lines[pc] : proto_.line;
      if (path != 0) found_.push_back({.path = paths_.Of(path), .line = line});
    }
    if (i.op == kClosure && i.bx < proto_.protos.size()) Inside(proto_.protos[i.bx], registers);
  }

  // A function made inside sees the context if it captures the parameter itself, which nothing
  // reassigns.
  void Inside(const Proto& inner, const Registers& registers) {
    std::vector<int> captured;
    for (const UpvalueDesc& upvalue : inner.upvalues) {
      int path = 0;
      if (!upvalue.in_stack) path = upvalue.index < upvalues_.size() ? upvalues_[upvalue.index] : 0;
      if (upvalue.in_stack && upvalue.index == 0 && At(registers, 0) == 1 && !Reassigns(0))
        path = 1;
      captured.push_back(path);
    }
    FieldFlow(inner, std::move(captured), paths_, found_).Run(0);
  }

  bool Reassigns(unsigned target) const {
    for (const std::uint32_t word : proto_.code) {
      const Instruction i(word);
      if (i.op == kMove && i.a == target) return true;
    }
    return false;
  }

  const Proto& proto_;
  std::vector<int> upvalues_;
  Paths& paths_;
  std::vector<FieldAccess>& found_;
  std::vector<std::optional<Registers>> in_;
  std::set<std::size_t> work_;
};

void FindWrites(const Proto& proto, std::vector<OuterWrite>& writes) {
  for (std::size_t pc = 0; pc < proto.code.size(); ++pc) {
    const Instruction i(proto.code[pc]);
    if (i.op != kSetUpval && i.op != kSetTabUp) continue;
    const unsigned upvalue = i.op == kSetUpval ? i.b : i.a;
    const std::string name = upvalue < proto.upvalues.size() ? proto.upvalues[upvalue].name : "?";
    OuterWrite write{.global = i.op == kSetTabUp,
                     .name = name,
                     .line = pc < proto.lines.size() ? proto.lines[pc] : proto.line};
    // A field of an outer table: frozen by the time a rule runs, fine while the file loads.
    if (write.global && name != kGlobals) continue;
    if (write.global) write.name = proto.Constant(i.b).value_or("?");
    writes.push_back(std::move(write));
  }
  for (const Proto& inner : proto.protos) FindWrites(inner, writes);
}

// The last instruction is the return that stands for `end`.
void CollectLines(const Proto& proto, std::set<int>& lines) {
  for (const Proto& inner : proto.protos) {
    if (!inner.lines.empty()) lines.insert(inner.lines.begin(), inner.lines.end() - 1);
    CollectLines(inner, lines);
  }
}

int AppendBytes(lua_State*, const void* bytes, std::size_t size, void* out) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return 0;
}

}  // namespace

BytecodeReport ScanFunction(lua_State* lua) {
  BytecodeReport report;
  std::string dump;
  if (lua_dump(lua, &AppendBytes, &dump, 0) != 0) return report;
  DumpReader reader(dump);
  if (!reader.Header()) return report;
  const Proto proto = reader.Function();
  if (!reader.ok()) return report;
  report.understood = true;
  FindWrites(proto, report.writes);
  CollectLines(proto, report.inner_lines);
  Paths paths;
  FieldFlow(proto, std::vector<int>(proto.upvalues.size(), 0), paths, report.fields).Run(1);
  return report;
}

}  // namespace interlock::policies
