#include "table/predicate.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/glob.h"
#include "core/money.h"
#include "label_cover.h"
#include "lua_money.h"
#include "lua_time.h"

namespace interlock::policies {
namespace {

using Op = Predicate::Op;
using ValueKind = Operand::Kind;

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;
constexpr int kDigitsOfADouble = 15;  // any decimal of so many digits survives a double
constexpr std::int64_t kExactMax = 1'000'000'000'000'000;  // 10 to the power of that

Truth TruthOf(bool yes) { return yes ? Truth::kTrue : Truth::kFalse; }

// Below, equal or above: -1, 0, 1; exact for integers and doubles of any size.
int Compare(std::int64_t a, std::int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }
int Compare(std::string_view a, std::string_view b) { return a < b ? -1 : a > b ? 1 : 0; }
int Compare(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }
int Compare(std::int64_t a, double b) {
  if (b >= 9.2233720368547758e18) return -1;
  if (b < -9.2233720368547758e18) return 1;
  const double whole = std::floor(b);
  const int order = Compare(a, static_cast<std::int64_t>(whole));
  return order != 0 || whole == b ? order : -1;
}

bool IsNumber(ValueKind kind) { return kind == ValueKind::kInteger || kind == ValueKind::kNumber; }

class Evaluator {
 public:
  Evaluator(int path, std::string_view name, Evaluation& evaluation)
      : path_(path), name_(name), out_(evaluation) {}

  Truth Ask(const Predicate& predicate, const Operand& value) {
    if (!Spend(1)) return Truth::kError;
    switch (predicate.op) {
      case Op::kPresent:
      case Op::kAbsent:
      case Op::kOptional:
        return AskPresence(predicate, value);
      case Op::kNot: {
        const Truth inner = Ask(predicate.parts[0], value);
        if (inner == Truth::kError) return inner;
        return TruthOf(inner == Truth::kFalse);
      }
      case Op::kAny:
      case Op::kAll:
        return AskParts(predicate, value);
      default:
        break;
    }
    if (value.kind == ValueKind::kAbsent) return Absent();
    return AskValue(predicate, value);
  }

 private:
  bool Spend(std::int64_t work) {
    out_.work_left -= work;
    if (out_.work_left >= 0) return true;
    out_.out_of_work = true;
    Fail("too much to look at: the rule's work limit is spent");
    return false;
  }

  template <typename Text>
  Truth Fail(const Text& text) {
    if (out_.explain && out_.error.empty()) out_.error = text;
    return Truth::kError;
  }

  Truth Absent() {
    if (!out_.explain) return Truth::kError;
    return Fail(path_ >= 0 ? out_.values->WhyAbsent(path_) : Name() + " is absent");
  }

  Truth WrongKind(const Operand& value, std::string_view wanted) {
    if (!out_.explain) return Truth::kError;
    return Fail(Name() + " is " + std::string(KindName(value.kind)) + ", not " +
                std::string(wanted));
  }

  std::string Name() const { return "`" + std::string(name_) + "`"; }

  Truth AskPresence(const Predicate& predicate, const Operand& value) {
    const bool there = value.kind != ValueKind::kAbsent;
    if (!there && path_ >= 0 && !out_.values->Declared(path_)) return Absent();
    if (predicate.op == Op::kPresent) return TruthOf(there);
    if (predicate.op == Op::kAbsent) return TruthOf(!there);
    return there ? Ask(predicate.parts[0], value) : Truth::kTrue;
  }

  // Order does not matter: any part that settles it does, whatever the others could not tell.
  Truth AskParts(const Predicate& predicate, const Operand& value) {
    const Truth settles = predicate.op == Op::kAny ? Truth::kTrue : Truth::kFalse;
    bool doubt = false;
    for (const Predicate& part : predicate.parts) {
      const Truth truth = Ask(part, value);
      if (truth == settles) return settles;
      doubt = doubt || truth == Truth::kError;
    }
    if (doubt) return Truth::kError;
    return predicate.op == Op::kAny ? Truth::kFalse : Truth::kTrue;
  }

  Truth AskValue(const Predicate& predicate, const Operand& value) {
    switch (predicate.op) {
      case Op::kOneOf:
      case Op::kNoneOf:
        return AskSet(predicate, value);
      case Op::kPrefix:
      case Op::kSuffix:
      case Op::kLike:
      case Op::kMatches:
        return AskText(predicate, value);
      case Op::kHas:
        return AskHas(predicate, value);
      case Op::kDetects:
        return AskDetectors(*predicate.wanted, value);
      case Op::kEach:
      case Op::kSome:
        return AskElements(predicate, value);
      case Op::kFields:
        return AskFields(predicate, value);
      case Op::kLength:
        return AskLength(predicate, value);
      case Op::kDaysAway:
        return AskDays(predicate, value);
      case Op::kTrusted:
      case Op::kFrom:
      case Op::kTagged:
      case Op::kReadableBy:
        return AskLabel(predicate);
      default:
        return AskOrder(predicate, value);
    }
  }

  Truth AskOrder(const Predicate& predicate, const Operand& value) {
    const std::optional<int> order = OrderOf(value, predicate.constant);
    if (!order) return Truth::kError;
    switch (predicate.op) {
      case Op::kEqual:
        return TruthOf(*order == 0);
      case Op::kNotEqual:
        return TruthOf(*order != 0);
      case Op::kLess:
        return TruthOf(*order < 0);
      case Op::kAtMost:
        return TruthOf(*order <= 0);
      case Op::kMore:
        return TruthOf(*order > 0);
      default:
        return TruthOf(*order >= 0);
    }
  }

  // nullopt: they cannot be compared, and why is said.
  std::optional<int> OrderOf(const Operand& value, const Constant& constant) {
    const auto wrong = [&](std::string_view wanted) -> std::optional<int> {
      WrongKind(value, wanted);
      return std::nullopt;
    };
    switch (constant.kind) {
      case Constant::Kind::kText:
        if (value.kind != ValueKind::kText) return wrong("a text");
        if (!Spend(static_cast<std::int64_t>(constant.text.size() / 64))) return std::nullopt;
        return Compare(value.text, std::string_view(constant.text));
      case Constant::Kind::kBoolean:
        if (value.kind != ValueKind::kBoolean) return wrong("a boolean");
        return static_cast<int>(value.boolean) - static_cast<int>(constant.boolean);
      case Constant::Kind::kInteger:
        if (value.kind == ValueKind::kInteger) return Compare(value.integer, constant.integer);
        if (value.kind == ValueKind::kNumber) return -Compare(constant.integer, value.number);
        return wrong("a number");
      case Constant::Kind::kNumber:
        if (value.kind == ValueKind::kInteger) return Compare(value.integer, constant.number);
        if (value.kind == ValueKind::kNumber) return Compare(value.number, constant.number);
        return wrong("a number");
      case Constant::Kind::kMoney:
        return OrderOfMoney(value, constant);
      case Constant::Kind::kPath:
        break;
    }
    return OrderOfPaths(value, constant.path);
  }

  std::optional<int> OrderOfMoney(const Operand& value, const Constant& constant) {
    const auto minor = MinorUnits(value, constant.text, constant.money_digits);
    if (minor.ok()) return Compare(*minor, constant.integer);
    if (out_.explain) Fail(Name() + ": " + std::string(core::Message(minor.status())));
    return std::nullopt;
  }

  std::optional<int> OrderOfPaths(const Operand& value, int path) {
    const Operand& other = out_.values->Get(path);
    if (other.kind == ValueKind::kAbsent) {
      if (out_.explain) Fail(out_.values->WhyAbsent(path));
      return std::nullopt;
    }
    if (value.kind == ValueKind::kText && other.kind == ValueKind::kText) {
      return Compare(value.text, other.text);
    }
    if (value.kind == ValueKind::kBoolean && other.kind == ValueKind::kBoolean) {
      return static_cast<int>(value.boolean) - static_cast<int>(other.boolean);
    }
    if (!IsNumber(value.kind) || !IsNumber(other.kind)) {
      WrongKind(value, std::string(KindName(other.kind)) + " that `" +
                           out_.values->path(path).text + "` could be compared with");
      return std::nullopt;
    }
    if (value.kind == ValueKind::kInteger) {
      return other.kind == ValueKind::kInteger ? Compare(value.integer, other.integer)
                                               : Compare(value.integer, other.number);
    }
    return other.kind == ValueKind::kInteger ? -Compare(other.integer, value.number)
                                             : Compare(value.number, other.number);
  }

  Truth AskSet(const Predicate& predicate, const Operand& value) {
    const std::vector<Constant>& set = predicate.constants;
    const bool wants = predicate.op == Op::kOneOf;
    if (set[0].kind == Constant::Kind::kText && value.kind == ValueKind::kText) {
      const auto at = std::lower_bound(
          set.begin(), set.end(), value.text,
          [](const Constant& one, std::string_view text) { return one.text < text; });
      return TruthOf((at != set.end() && at->text == value.text) == wants);
    }
    if (!Spend(static_cast<std::int64_t>(set.size()))) return Truth::kError;
    for (const Constant& one : set) {
      const std::optional<int> order = OrderOf(value, one);
      if (!order) return Truth::kError;
      if (*order == 0) return TruthOf(wants);
    }
    return TruthOf(!wants);
  }

  Truth AskText(const Predicate& predicate, const Operand& value) {
    if (value.kind != ValueKind::kText) return WrongKind(value, "a text");
    const std::string& part = predicate.constant.text;
    switch (predicate.op) {
      case Op::kPrefix:
        return TruthOf(value.text.starts_with(part));
      case Op::kSuffix:
        return TruthOf(value.text.ends_with(part));
      case Op::kLike:
        // At worst each byte of the text meets each byte of the glob.
        if (!Spend(static_cast<std::int64_t>(value.text.size() * part.size() / 64 + 1))) {
          return Truth::kError;
        }
        return TruthOf(core::GlobMatches(part, value.text));
      default:
        if (!Spend(MatchWork(*predicate.patterns, value.text))) return Truth::kError;
        return TruthOf(FirstMatch(*predicate.patterns, value.text) != nullptr);
    }
  }

  Truth AskHas(const Predicate& predicate, const Operand& value) {
    if (value.kind == ValueKind::kText) {
      if (predicate.constant.kind != Constant::Kind::kText) return WrongKind(value, "a list");
      if (!Spend(static_cast<std::int64_t>(value.text.size() / 16))) return Truth::kError;
      return TruthOf(value.text.find(predicate.constant.text) != std::string_view::npos);
    }
    if (value.kind != ValueKind::kList) return WrongKind(value, "a list or a text");
    bool doubt = false;
    for (const core::Json& element : *value.json) {
      if (!Spend(1)) return Truth::kError;
      const std::optional<int> order = OrderOf(OperandOf(element), predicate.constant);
      if (order == 0) return Truth::kTrue;
      doubt = doubt || !order;
    }
    return doubt ? Truth::kError : Truth::kFalse;
  }

  Truth AskDetectors(const DetectWanted& wanted, const Operand& value) {
    bool found = false;
    core::Status failed = core::OkStatus();
    const auto look = [&](std::string_view text, const std::string&, std::string_view field, bool) {
      if (found || !failed.ok() || !Spend(static_cast<std::int64_t>(text.size()) / 16)) return;
      std::int64_t work = 0;
      const auto one = Look(text, field, wanted, work);
      if (!one.ok()) failed = one.status();
      found = found || (one.ok() && !one->empty());
      Spend(std::max<std::int64_t>(0, work - static_cast<std::int64_t>(text.size()) / 16));
    };
    if (value.kind == ValueKind::kText) {
      look(value.text, "", FieldName(), false);
    } else if (value.json != nullptr) {
      WalkTexts(*value.json, "", std::string(FieldName()), look);
    }
    if (found) return Truth::kTrue;
    if (!failed.ok()) return Fail(std::string(core::Message(failed)));
    return out_.out_of_work ? Truth::kError : Truth::kFalse;
  }

  std::string_view FieldName() const {
    const std::size_t dot = name_.rfind('.');
    return dot == std::string_view::npos ? name_ : name_.substr(dot + 1);
  }

  Truth AskElements(const Predicate& predicate, const Operand& value) {
    if (value.kind != ValueKind::kList) return WrongKind(value, "a list");
    const Truth settles = predicate.op == Op::kSome ? Truth::kTrue : Truth::kFalse;
    Evaluator inside(-1, name_, out_);
    bool doubt = false;
    for (const core::Json& element : *value.json) {
      const Truth truth = inside.Ask(predicate.parts[0], OperandOf(element));
      if (truth == settles) return settles;
      doubt = doubt || truth == Truth::kError;
      if (out_.out_of_work) return Truth::kError;
    }
    if (doubt) return Truth::kError;
    return predicate.op == Op::kSome ? Truth::kFalse : Truth::kTrue;
  }

  Truth AskFields(const Predicate& predicate, const Operand& value) {
    if (value.kind != ValueKind::kObject) return WrongKind(value, "an object");
    bool doubt = false;
    for (std::size_t i = 0; i < predicate.parts.size(); ++i) {
      const auto found = value.json->find(predicate.names[i]);
      const Operand member = found == value.json->end() ? Operand{} : OperandOf(*found);
      Evaluator inside(-1, predicate.names[i], out_);
      const Truth truth = inside.Ask(predicate.parts[i], member);
      if (truth == Truth::kFalse) return truth;
      doubt = doubt || truth == Truth::kError;
    }
    return doubt ? Truth::kError : Truth::kTrue;
  }

  Truth AskLength(const Predicate& predicate, const Operand& value) {
    if (value.kind != ValueKind::kList && value.kind != ValueKind::kText) {
      return WrongKind(value, "a list or a text");
    }
    Operand length;
    length.kind = ValueKind::kInteger;
    length.integer = static_cast<std::int64_t>(value.kind == ValueKind::kText ? value.text.size()
                                                                              : value.json->size());
    return Ask(predicate.parts[0], length);
  }

  Truth AskDays(const Predicate& predicate, const Operand& value) {
    std::optional<std::int64_t> time;
    if (value.kind == ValueKind::kInteger) time = value.integer;
    if (value.kind == ValueKind::kText) time = ParseTime(value.text);
    std::int64_t span = 0;
    if (!time || __builtin_sub_overflow(*time, out_.values->input().now_us, &span)) {
      return WrongKind(value, "a date or time such as 2026-05-01 or 2026-05-01T10:00:00Z");
    }
    Operand days;
    days.kind = ValueKind::kInteger;
    days.integer = span / kMicrosPerDay - (span % kMicrosPerDay < 0 ? 1 : 0);
    return Ask(predicate.parts[0], days);
  }

  // What nobody labelled is untrusted, from nowhere and for nobody; whether it has a tag cannot be
  // told.
  Truth AskLabel(const Predicate& predicate) {
    static const LabelMap kNone;
    const LabelMap* given = out_.values->input().labels;
    const LabelMap& labels = given == nullptr ? kNone : *given;
    const std::string path(name_);
    if (predicate.op == Op::kTagged && !labels.Knows(path)) {
      return out_.explain ? Fail(Name() + " has no label") : Truth::kError;
    }
    const Label label = LabelInFull(out_.values->input(), path);
    const auto in = [](const std::vector<std::string>& list, const std::string& text) {
      return std::binary_search(list.begin(), list.end(), text);
    };
    switch (predicate.op) {
      case Op::kTrusted:
        return TruthOf(label.trusted);
      case Op::kFrom:
        return TruthOf(!label.sources.empty() &&
                       std::all_of(label.sources.begin(), label.sources.end(),
                                   [&](const auto& one) { return in(predicate.names, one); }));
      case Op::kTagged:
        return TruthOf(std::any_of(predicate.names.begin(), predicate.names.end(),
                                   [&](const auto& one) { return in(label.tags, one); }));
      default:
        return AskReaders(predicate, label);
    }
  }

  Truth AskReaders(const Predicate& predicate, const Label& label) {
    if (std::binary_search(label.readers.begin(), label.readers.end(), "*")) return Truth::kTrue;
    const auto may = [&](std::string_view who) {
      return std::binary_search(label.readers.begin(), label.readers.end(), who);
    };
    if (predicate.constant.kind == Constant::Kind::kText)
      return TruthOf(may(predicate.constant.text));
    const int path = predicate.constant.path;
    const Operand& who = out_.values->Get(path);
    if (who.kind == ValueKind::kText) return TruthOf(may(who.text));
    if (who.kind != ValueKind::kList) {
      return out_.explain ? Fail(who.kind == ValueKind::kAbsent
                                     ? out_.values->WhyAbsent(path)
                                     : "`" + out_.values->path(path).text + "` names no readers")
                          : Truth::kError;
    }
    for (const core::Json& one : *who.json) {
      if (!one.is_string() || !may(one.get_ref<const std::string&>())) return Truth::kFalse;
    }
    return Truth::kTrue;
  }

  int path_;
  std::string_view name_;
  Evaluation& out_;
};

// A double whose shortest decimal fits the currency, without going through text: m / 10^digits is
// the nearest double to that decimal, and no other decimal of 15 digits gives the same one.
std::optional<std::int64_t> MinorOfDouble(double number, int digits) {
  double scale = 1;
  for (int i = 0; i < digits; ++i) scale *= 10;
  const double scaled = std::nearbyint(number * scale);
  if (std::fabs(scaled) >= static_cast<double>(kExactMax) || scaled / scale != number) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(scaled);
}

}  // namespace

core::StatusOr<std::int64_t> MinorUnits(const Operand& value, const std::string& currency,
                                        int digits) {
  static_assert(kDigitsOfADouble == 15);
  if (value.kind == ValueKind::kInteger) {
    std::int64_t minor = value.integer;
    for (int i = 0; i < digits; ++i) {
      if (__builtin_mul_overflow(minor, std::int64_t{10}, &minor)) {
        return core::InvalidArgument("money beyond 2^63 minor units");
      }
    }
    return minor;
  }
  std::string decimal;
  if (value.kind == ValueKind::kNumber) {
    if (!std::isfinite(value.number)) return core::InvalidArgument("an amount must be finite");
    if (const auto minor = MinorOfDouble(value.number, digits); minor) return *minor;
    decimal = ShortestDecimal(value.number);
  } else if (value.kind == ValueKind::kText) {
    decimal = std::string(value.text);
  } else {
    return core::InvalidArgument("an amount is a number or a decimal text, not " +
                                 std::string(KindName(value.kind)));
  }
  INTERLOCK_ASSIGN_OR_RETURN(const core::Money money, core::ParseMoney(decimal, currency));
  return money.minor;
}

Truth Evaluate(const Predicate& predicate, const Operand& value, int path, std::string_view name,
               Evaluation& evaluation) {
  return Evaluator(path, name, evaluation).Ask(predicate, value);
}

}  // namespace interlock::policies
