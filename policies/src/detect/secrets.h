// Secrets: tokens known by their form, keys in their armour, and values that a name gives away.
#pragma once

#include "literals.h"
#include "scan.h"
#include "shape.h"

namespace interlock::policies::detect {

// Immutable; thread-safe.
class SecretDetector {
 public:
  // Registers what may begin a secret; ids given to Found start at `first_id`.
  SecretDetector(Literals& literals, int first_id);
  int ids() const { return static_cast<int>(rules_.size()); }

  // A registered literal stands at `at` and has `size` bytes.
  void Found(Scan& scan, int id, std::size_t at, std::size_t size) const;

 private:
  using Handler = void (*)(Scan& scan, std::size_t at, std::size_t size);
  struct Rule {
    std::size_t kind = 0;  // in SecretKinds(), when handler is null
    std::size_t shape = 0;
    Handler handler = nullptr;
  };
  void FoundToken(Scan& scan, const Rule& rule, std::size_t at, std::size_t size) const;

  int first_id_;
  std::vector<Rule> rules_;
  std::vector<Shape> shapes_;
};

// Whether a value looks made up by a person (few different characters, "example", "changeme", a
// placeholder) and not by a generator.
bool LooksLikePlaceholder(std::string_view value);

// The field that holds the text has a secret's name: the whole text is looked at as its value.
void ScanNamedField(Scan& scan);

}  // namespace interlock::policies::detect
