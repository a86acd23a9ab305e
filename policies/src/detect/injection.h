// Phrases by which a text tries to command the model that reads it.
#pragma once

#include <memory>
#include <vector>

#include "literals.h"
#include "scan.h"

namespace re2 {
class RE2;
}

namespace interlock::policies::detect {

// Immutable; thread-safe.
class PhraseDetector {
 public:
  PhraseDetector(Literals& literals, int first_id);
  ~PhraseDetector();
  int ids() const { return static_cast<int>(phrase_of_.size()); }
  void Found(Scan& scan, int id, std::size_t at) const;

 private:
  int first_id_;
  std::vector<std::size_t> phrase_of_;  // by id: in the table of phrases
  std::vector<std::unique_ptr<re2::RE2>> expressions_;
};

}  // namespace interlock::policies::detect
