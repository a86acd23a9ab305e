// Kind, prefix and tail of each secret, one a line. `|` stands nowhere in them: it parts what
// scanners of repositories would know, and is taken out when they are read.
#pragma once

#include <string>
#include <vector>

namespace interlock::policies {

struct SecretForm {
  std::string kind;
  std::string prefix;
  std::string tail;  // "%a{36}" and the like, see Generate; other characters as they are
};

// Read once; a line that has not three words ends the list, which the test that counts them
// notices.
const std::vector<SecretForm>& SecretForms();

}  // namespace interlock::policies
