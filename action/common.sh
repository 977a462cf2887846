#!/usr/bin/env bash
# What action/run.sh and action/setup.sh share: errors, outputs, and where the binaries come from.
# The caller sets `root`, the folder of the Action's revision. Inputs are INPUT_* and stay data.

readonly root=${root:?}

folder='' installed='' version=''

# Ends with an annotation and the code for "usage or configuration error": nothing was asked.
refuse() { # MESSAGE HINT
  printf 'error: %s\n\nhint: %s\n' "$(one_line "$1")" "$(one_line "$2")" >&2
  annotate error "$1" "$2"
  outputs 2 "$1"
  exit 2
}

annotate() { # LEVEL MESSAGE HINT
  local message hint
  message=$(one_line "$2") hint=$(one_line "$3")
  printf '::%s title=deploy-guard::%s. %s\n' "$1" "${message//'%'/%25}" "${hint//'%'/%25}" >&2
}

# What was not foreseen, such as a folder that cannot be written: the 1 of whatever failed would
# look like the stage's answer.
# shellcheck disable=SC2317 # reached by the trap
broke() { # COMMAND
  ((BASH_SUBSHELL == 0)) || exit 4
  trap - ERR
  local message="the Action ended at \`$1\`" hint='the line above shows why; is the disk full, and may this user write to RUNNER_TEMP?'
  printf 'error: %s\n\nhint: %s\n' "$(one_line "$message")" "$hint" >&2
  annotate error "$message" "$hint"
  outputs 4 "$message" || true
  exit 4
}
trap 'broke "$BASH_COMMAND"' ERR

# One line in which the runner finds no command: it reads `::` at a line's start and `##[` anywhere.
one_line() { # TEXT
  local text=${1//[$'\r\n']/ }
  if ((${#text} > 500)); then text="${text:0:500}…"; fi
  printf '%s' "${text//'##['/'# #['}"
}

output() { # NAME TEXT
  if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf '%s=%s\n' "$1" "$(one_line "$2")" >>"$GITHUB_OUTPUT"
  fi
}

# What later steps read where no stage has told them.
outputs() { # CODE REASON
  output verdict error
  output reason "$2"
  output exit-code "$1"
}

# Sets `folder` to the place of the binaries.
find_folder() {
  folder=${INPUT_BIN_DIR:-}
  if [[ -z $folder ]]; then
    install
    folder=$installed
  elif [[ ! -d $folder ]]; then
    refuse "bin-dir \`$folder\` is not a folder" 'name the folder that holds the binaries, or leave bin-dir out'
  fi
  # A path that begins with a dash would be taken for an option.
  [[ $folder == /* ]] || folder=$PWD/$folder
}

# Whether the folder has this binary; one that may not be run is refused.
has_binary() { # NAME
  if [[ -f $folder/$1 && ! -x $folder/$1 ]]; then
    refuse "$folder/$1 is not executable" 'artifacts lose the mode of their files: run chmod +x on it first'
  fi
  [[ -f $folder/$1 ]]
}

# Sets `installed` to a folder with a deploy-guard of this revision.
install() {
  local how=${INPUT_INSTALL:-} archive='' code=0
  case $how in
    '' | download | build) ;;
    *) refuse "install cannot be \`$how\`" 'it is download or build, or left out' ;;
  esac
  if [[ $how != build ]]; then
    archive=$(installer --which 2>/dev/null) || code=$?
    # No archive, and whatever else is wrong with the checksums, is for the installer to say.
    if [[ $code != 1 || $how == download ]]; then
      download "$archive"
      return
    fi
  fi
  build
}

installer() { # OPTION...
  sh "$root/action/install.sh" --checksums "$root/action/checksums.txt" "$@"
}

# Sets `installed` to a folder with the binary of the release that this revision is.
download() { # ARCHIVE
  local temp=${RUNNER_TEMP:-} code=0 log
  # No other user may write there.
  if [[ -z $temp ]]; then temp=$(mktemp -d); fi
  mkdir -p -- "$temp"
  installed=$temp/${1%.tar.gz}
  # An earlier step of this job has put it there, whole.
  if [[ -n $1 && -x $installed/deploy-guard ]]; then return; fi
  local options=(--to "$installed")
  # On self-hosted runners the tool cache outlives the job.
  if [[ -n ${RUNNER_TOOL_CACHE:-} ]]; then options+=(--cache "$RUNNER_TOOL_CACHE/deploy-guard"); fi
  if [[ -n ${INPUT_DOWNLOAD_URL:-} ]]; then
    options+=(--from "$INPUT_DOWNLOAD_URL")
  else
    # With `uses: ./` no repository is named: it is the workflow's own.
    options+=(--repository "${GITHUB_SERVER_URL:-https://github.com}/${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}}")
    if [[ -n ${GITHUB_API_URL:-} ]]; then options+=(--api "$GITHUB_API_URL"); fi
  fi
  log=$(mktemp "$temp/deploy-guard.XXXXXXXX")
  DEPLOY_GUARD_DOWNLOAD_TOKEN=${INPUT_GITHUB_TOKEN:-} TMPDIR=$temp installer "${options[@]}" 2>&1 | tee -- "$log" >&2 || code=${PIPESTATUS[0]}
  if ((code)); then
    local said hint
    said=$(sed -n 's/^error: //p' "$log") hint=$(sed -n 's/^hint: //p' "$log")
    # On a disk that is full nothing was noted.
    said=${said:-deploy-guard was not installed}
    annotate error "$said" "${hint:-the lines above say why}"
    outputs "$code" "$said"
    exit "$code"
  fi
  rm -f -- "$log"
}

# Sets `installed` to a folder with a deploy-guard made from the action's own source.
build() {
  local source=$root
  if ! type -P cargo >/dev/null; then
    refuse 'this revision has no archive for this machine, and there is no cargo to build deploy-guard with' \
      'use the revision of a release, install Rust in an earlier step (https://rustup.rs), or give bin-dir a folder with ready binaries'
  fi
  # The tool cache outlives the job on self-hosted runners; elsewhere the job's own folder will do.
  local target=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-$source}}/deploy-guard/target
  printf '::group::Build deploy-guard\n' >&2
  if ! (cd "$source" && cargo build --release --locked --package deploy-guard --target-dir "$target") >&2; then
    printf '::endgroup::\n' >&2
    refuse 'deploy-guard could not be built' 'the compiler shows why above; libssh2 wants pkg-config, libssl-dev and a C compiler'
  fi
  printf '::endgroup::\n' >&2
  installed=$target/release
}

# Sets `version` to that of the binary, and refuses another than the workflow insists on.
check_version() { # PROGRAM
  local program=$1 wanted=${INPUT_VERSION:-} line
  if ! line=$("$program" --version); then
    refuse "$program does not tell its version" 'see whether it is built for this machine'
  fi
  version=${line##* }
  if [[ -n $wanted && $version != "${wanted#v}" ]]; then
    refuse "version $wanted is wanted, and $program is $version" \
      "change the input \`version\`, or the revision that \`uses:\` names: a revision has one version"
  fi
}
