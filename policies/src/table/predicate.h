// What a `where` asks of one value, as data: evaluated without Lua, and open to analysis.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "detect_wanted.h"
#include "patterns.h"
#include "table/path.h"

namespace interlock::policies {

inline constexpr std::int64_t kTableRuleWork = 20'000;  // values, elements and 16-byte steps a rule
inline constexpr int kPredicateDepthMax = 8;
inline constexpr std::size_t kPredicatePartsMax = 256;

// What a value is compared with: a constant of the file, or another path of the same decision.
struct Constant {
  enum class Kind : std::uint8_t { kText, kInteger, kNumber, kBoolean, kMoney, kPath };
  Kind kind = Kind::kText;
  bool boolean = false;
  std::int64_t integer = 0;  // minor units of money
  double number = 0;
  std::string text{};    // the currency of money
  int money_digits = 0;  // of the currency
  int path = -1;         // in the bundle's PathTable
};
std::string ShowConstant(const Constant& constant, const PathTable& paths);

// Immutable once built.
struct Predicate {
  enum class Op : std::uint8_t {
    kEqual,
    kNotEqual,
    kLess,
    kAtMost,
    kMore,
    kAtLeast,
    kOneOf,
    kNoneOf,
    kPrefix,
    kSuffix,
    kLike,     // a glob
    kHas,      // a text has a part, a list an element
    kMatches,  // RE2
    kDetects,  // personal data, secrets, injection
    kPresent,  // asks no more than whether it is there
    kAbsent,
    kOptional,  // true where it is absent; else parts[0]
    kNot,
    kAny,
    kAll,
    kEach,        // every element of a list
    kSome,        // at least one
    kFields,      // an object: names[i] is as parts[i] says
    kLength,      // of a list, or bytes of a text
    kTrusted,     // of labels: no untrusted content had a part in it
    kFrom,        // its sources are all among these, and known
    kTagged,      // it or a part of it has one of these tags
    kReadableBy,  // its readers cover these, or the value at a path
    kDaysAway     // whole days from now to a date or time, rounded down
  };
  Op op = Op::kEqual;
  Constant constant{};
  std::vector<Constant> constants{};  // one of, none of: sorted, of one kind
  std::vector<Predicate> parts{};
  std::vector<std::string> names{};
  std::shared_ptr<const PatternList> patterns{};
  std::shared_ptr<const DetectWanted> wanted{};
};
// "<= 50.00 USD", for people.
std::string ShowPredicate(const Predicate& predicate, const PathTable& paths);

// False wins over error, error over true, in whatever order a conjunction is asked: a rule whose
// other condition is false is not about this call, and a rule that would be about it denies when it
// cannot tell.
enum class Truth : std::uint8_t { kFalse, kTrue, kError };

// The work and the words of one rule's evaluation.
struct Evaluation {
  PathValues* values = nullptr;
  std::int64_t work_left = kTableRuleWork;
  bool explain = false;  // fill `error`; without it an error costs no text
  std::string error{};   // the first one
  bool out_of_work = false;
};

// `path` is where `value` came from, or -1 inside of lists and objects; `name` is its name in
// messages.
Truth Evaluate(const Predicate& predicate, const Operand& value, int path, std::string_view name,
               Evaluation& evaluation);

// The value as minor units of a currency, exactly. Errors: kInvalidArgument for more digits than
// the currency has, or for what is no amount.
core::StatusOr<std::int64_t> MinorUnits(const Operand& value, const std::string& currency,
                                        int digits);

}  // namespace interlock::policies
