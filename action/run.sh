#!/usr/bin/env bash
# Runs one stage of deploy-guard for action.yml. Inputs come in as INPUT_* and stay data: nothing
# here is evaluated, split by spaces or expanded. The stage's exit code is the step's.
set -Eeuo pipefail

readonly STAGES=(preflight runner-check healthgate rollback run)

# Ends with an annotation and the code for "usage or configuration error": nothing was asked.
refuse() { # MESSAGE HINT
  printf 'error: %s\n\nhint: %s\n' "$(one_line "$1")" "$(one_line "$2")" >&2
  annotate "$1" "$2"
  output exit-code 2
  exit 2
}

annotate() { # MESSAGE HINT
  local message hint
  message=$(one_line "$1") hint=$(one_line "$2")
  printf '::error title=deploy-guard::%s. %s\n' "${message//'%'/%25}" "${hint//'%'/%25}" >&2
}

# What nobody thought of, such as a folder that cannot be written: the 1 of whatever failed would
# look like the stage's answer.
# shellcheck disable=SC2317 # reached by the trap
broke() { # COMMAND
  ((BASH_SUBSHELL == 0)) || exit 4
  trap - ERR
  local message="the Action ended at \`$1\`" hint='the line above says why; is the disk full, and may this user write to RUNNER_TEMP?'
  printf 'error: %s\n\nhint: %s\n' "$(one_line "$message")" "$hint" >&2
  annotate "$message" "$hint"
  output exit-code 4 || true
  exit 4
}
trap 'broke "$BASH_COMMAND"' ERR

# One line in which the runner finds no command: it reads `::` at a line's start and `##[` anywhere.
one_line() { # TEXT
  local text=${1//[$'\r\n']/ }
  if ((${#text} > 500)); then text="${text:0:500}…"; fi
  printf '%s' "${text//'##['/'# #['}"
}

# Only for words of our own: the binary writes everything that came from outside.
output() { # NAME WORD
  if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
  fi
}

# Sets `stage`, or says which there are.
choose_stage() {
  stage=${INPUT_STAGE:-}
  local known
  for known in "${STAGES[@]}"; do
    if [[ $stage == "$known" ]]; then return; fi
  done
  if [[ -z $stage ]]; then
    refuse "the input \`stage\` is missing" "write one of these under \`with:\`: stage: ${STAGES[*]}"
  fi
  refuse "there is no stage \`$stage\`" "the stages are: ${STAGES[*]}"
}

# Sets `command` to the program and, where one file holds all stages, the stage's name.
find_binary() {
  local folder=${INPUT_BIN_DIR:-}
  if [[ -z $folder ]]; then
    install
    folder=$installed
  elif [[ ! -d $folder ]]; then
    refuse "bin-dir \`$folder\` is no folder" 'name the folder that holds the binaries, or leave bin-dir out'
  fi
  # A path that begins with a dash would be taken for an option.
  [[ $folder == /* ]] || folder=$PWD/$folder
  local name
  for name in deploy-guard "$stage"; do
    if [[ -f $folder/$name && ! -x $folder/$name ]]; then
      refuse "$folder/$name is not executable" 'artifacts lose the mode of their files: run chmod +x on it first'
    elif [[ -f $folder/$name ]]; then
      command=("$folder/$name")
      if [[ $name == deploy-guard ]]; then command+=("$stage"); fi
      return
    fi
  done
  refuse "there is neither deploy-guard nor $stage in $folder" 'name the folder that holds the binaries, or leave bin-dir out'
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
  sh "${GITHUB_ACTION_PATH:?}/action/install.sh" --checksums "$GITHUB_ACTION_PATH/action/checksums.txt" "$@"
}

# Sets `installed` to a folder with the binary of the release that this revision is.
download() { # ARCHIVE
  local temp=${RUNNER_TEMP:-} code=0 log
  # Nobody else may write there.
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
    annotate "${said:-deploy-guard was not installed}" "${hint:-the lines above say why}"
    output exit-code "$code"
    exit "$code"
  fi
  rm -f -- "$log"
}

# Sets `installed` to a folder with a deploy-guard made from the action's own source.
build() {
  local source=${GITHUB_ACTION_PATH:?}
  if ! type -P cargo >/dev/null; then
    refuse 'this revision has no archive for this machine, and there is no cargo to build deploy-guard with' \
      'use the revision of a release, install Rust in an earlier step (https://rustup.rs), or give bin-dir a folder with ready binaries'
  fi
  # The tool cache outlives the job on self-hosted runners; elsewhere the job's own folder will do.
  local target=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-$source}}/deploy-guard/target
  printf '::group::Build deploy-guard\n' >&2
  if ! (cd "$source" && cargo build --release --locked --package deploy-guard --target-dir "$target") >&2; then
    printf '::endgroup::\n' >&2
    refuse 'deploy-guard could not be built' 'the compiler says why above; libssh2 wants pkg-config, libssl-dev and a C compiler'
  fi
  printf '::endgroup::\n' >&2
  installed=$target/release
}

# Refuses binaries of another version than the workflow insists on.
check_version() {
  local wanted=${INPUT_VERSION:-} line
  if [[ -z $wanted ]]; then return; fi
  if ! line=$("${command[0]}" --version); then
    refuse "${command[0]} does not tell its version" 'see whether it is built for this machine'
  fi
  if [[ ${line##* } != "${wanted#v}" ]]; then
    refuse "version $wanted is wanted, and ${command[0]} is ${line##* }" \
      "change the input \`version\`, or the revision that \`uses:\` names: a revision has one version"
  fi
}

# Hands the inputs to the binary by its own variables, where quotes and dashes mean nothing. An
# input that is empty leaves alone what the job's `env:` may say.
hand_over() {
  # No variable may have more than 128 KiB, and each has a longer name from here on.
  local name value
  for name in CONFIG ENVIRONMENT RELEASE; do
    value=INPUT_$name
    value=${!value:-}
    if ((${#value} > 30000)); then
      refuse "the input \`$(tr '[:upper:]' '[:lower:]' <<<"$name")\` has ${#value} characters" 'see what the workflow hands over: no name and no path is that long'
    fi
  done
  if [[ -n ${INPUT_CONFIG:-} ]]; then export DEPLOY_GUARD_CONFIG=$INPUT_CONFIG; fi
  if [[ -n ${INPUT_ENVIRONMENT:-} ]]; then export DEPLOY_GUARD_ENVIRONMENT=$INPUT_ENVIRONMENT; fi
  if [[ -n ${INPUT_RELEASE:-} ]]; then export DEPLOY_GUARD_RELEASE=$INPUT_RELEASE; fi
  # The default must not take the place of a token that the step's `env:` names.
  if [[ -n ${INPUT_GITHUB_TOKEN:-} && ($INPUT_GITHUB_TOKEN != "${WORKFLOW_TOKEN:-}" || -z ${GITHUB_TOKEN:-}) ]]; then
    export GITHUB_TOKEN=$INPUT_GITHUB_TOKEN
  fi
  if [[ -z ${DEPLOY_GUARD_REPORT:-} ]]; then
    local folder=${RUNNER_TEMP:-${TMPDIR:-/tmp}}
    mkdir -p -- "$folder"
    # A folder for each step: a job may run the same stage twice and want both reports.
    folder=$(mktemp -d "$folder/deploy-guard.XXXXXXXX")
    export DEPLOY_GUARD_REPORT=$folder/$stage.json
  fi
  if [[ -n ${INPUT_WORKING_DIRECTORY:-} ]]; then
    if [[ ! -d $INPUT_WORKING_DIRECTORY ]]; then
      refuse "working-directory \`$INPUT_WORKING_DIRECTORY\` is not a folder" 'name a folder of the repository; is there a step with actions/checkout before this one?'
    fi
    cd -- "$INPUT_WORKING_DIRECTORY"
  fi
  # The token and the rest are known by their real names now, and a child needs no second copy.
  local arguments=${INPUT_ARGS:-}
  unset "${!INPUT_@}" WORKFLOW_TOKEN
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    if [[ -n ${line//[[:space:]]/} ]]; then args+=("$line"); fi
  done <<<"$arguments"
  if [[ $stage == rollback && ${#args[@]} -eq 0 ]]; then args=(run); fi
}

stage='' installed='' command=() args=()
choose_stage
find_binary
check_version
hand_over

# The long form, because the bash of macOS calls an empty list unset.
"${command[@]}" ${args[@]+"${args[@]}"} &
child=$!
# On cancellation the runner signals this process alone. The stage has to hear of it in time to
# leave a journal that can be resumed.
trap 'kill -s INT "$child" 2>/dev/null || true' INT
trap 'kill -s TERM "$child" 2>/dev/null || true' TERM
# A signal ends `wait` early, with the stage still at work.
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do
  code=0
  wait "$child" || code=$?
done
# The shell's own words for a program that it could not start.
case $code in
  126 | 127) refuse "${command[0]} cannot be run on this machine" 'see whether it is built for it: uname -sm' ;;
esac
# A stage that could not start or was killed has written none, and the last one counts.
output exit-code "$code" || true
exit "$code"
