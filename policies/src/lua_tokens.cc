#include "lua_tokens.h"

#include <algorithm>
#include <cctype>

namespace interlock::policies {
namespace {

bool IsNameByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Scanner {
 public:
  explicit Scanner(std::string_view source) : source_(source) {}

  std::vector<LuaToken> Run() {
    while (at_ < source_.size()) Next();
    return std::move(tokens_);
  }

 private:
  void Next() {
    const char c = source_[at_];
    if (c == '\n' || std::isspace(static_cast<unsigned char>(c)) != 0) return Skip(at_ + 1);
    if (source_.substr(at_, 2) == "--") return Comment();
    if (c == '"' || c == '\'') return Take(LuaToken::Kind::kText, QuoteEnd(c));
    if (const std::size_t end = LongEnd(at_); end != at_) return Take(LuaToken::Kind::kText, end);
    if (IsDigit(c)) return Take(LuaToken::Kind::kNumber, NumberEnd());
    if (IsNameByte(c)) return Take(LuaToken::Kind::kName, NameEnd());
    for (const std::string_view sign : {"...", "<=", ">=", "==", "~=", "..", "//", "::"}) {
      if (source_.substr(at_).starts_with(sign)) {
        return Take(LuaToken::Kind::kSign, at_ + sign.size());
      }
    }
    Take(LuaToken::Kind::kSign, at_ + 1);
  }

  void Skip(std::size_t end) {
    end = std::min(end, source_.size());
    const std::string_view passed = source_.substr(at_, end - at_);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    at_ = end;
  }

  void Take(LuaToken::Kind kind, std::size_t end) {
    end = std::min(end, source_.size());
    tokens_.push_back(
        {.kind = kind, .begin = at_, .text = source_.substr(at_, end - at_), .line = line_});
    Skip(end);
  }

  void Comment() {
    const std::size_t end = LongEnd(at_ + 2);
    if (end != at_ + 2) return Skip(end);
    Skip(std::min(source_.find('\n', at_), source_.size()));
  }

  // Behind a long bracket that begins at `from`, or `from` itself.
  std::size_t LongEnd(std::size_t from) const {
    if (from >= source_.size() || source_[from] != '[') return from;
    std::size_t level = from + 1;
    while (level < source_.size() && source_[level] == '=') ++level;
    if (level >= source_.size() || source_[level] != '[') return from;
    const std::string close = "]" + std::string(level - from - 1, '=') + "]";
    const std::size_t end = source_.find(close, level);
    return end == std::string_view::npos ? source_.size() : end + close.size();
  }

  std::size_t QuoteEnd(char quote) const {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote && source_[end] != '\n') {
      end += source_[end] == '\\' ? 2 : 1;
    }
    return end + 1;
  }

  std::size_t NumberEnd() const {
    std::size_t end = at_;
    while (end < source_.size() &&
           (IsNameByte(source_[end]) || (source_[end] == '.' && source_.substr(end, 2) != ".."))) {
      ++end;
    }
    return end;
  }

  std::size_t NameEnd() const {
    std::size_t end = at_;
    while (end < source_.size() && IsNameByte(source_[end])) ++end;
    return end;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<LuaToken> tokens_;
};

}  // namespace

std::vector<LuaToken> LuaTokens(std::string_view source) { return Scanner(source).Run(); }

}  // namespace interlock::policies
