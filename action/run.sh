#!/usr/bin/env bash
# Runs one stage of deploy-guard for action.yml. Inputs come in as INPUT_* and stay data: nothing
# here is evaluated, split by spaces or expanded. The stage's exit code is the step's, but for the
# verdicts that `fail-on` leaves out.
set -Eeuo pipefail

root=${GITHUB_ACTION_PATH:?}
# shellcheck source=action/common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"

readonly STAGES=(preflight runner-check healthgate traffic migrate incident rollback run)

# The inputs that are flags: the input as INPUT_ has it, its flag, how its text is read, and the
# stages that take it. `line`: each line is a value; `text`: all of it is one; `switch`: true or
# false. crates/deploy-guard/tests/action_inputs.rs holds this against the command line.
readonly FLAG_INPUTS=(
  'URL --http line healthgate'
  'STATUS --status line healthgate'
  'JQ --jq text healthgate'
  'BODY_REGEX --body-regex text healthgate'
  'MAX_LATENCY --max-latency text healthgate'
  'RELEASE_URL --release-url text healthgate'
  'RELEASE_JQ --release-jq text healthgate'
  'RELEASE_HEADER --release-header text healthgate'
  'INITIAL_DELAY --initial-delay text healthgate'
  'INTERVAL --interval text healthgate'
  'TIMEOUT --timeout text healthgate'
  'SUCCESS_THRESHOLD --success-threshold text healthgate'
  'FAILURE_LIMIT --failure-limit text healthgate'
  'DEADLINE --deadline text healthgate'
  'SOAK --soak text healthgate'
  'SHARD --shard text healthgate'
  'IMAGE --image line preflight rollback'
  'PASS_SCORE --pass-score text preflight'
  'LABELS --labels line runner-check'
  'ORG --org text runner-check'
  'GROUP --group text runner-check'
  'WAIT --wait text runner-check traffic'
  'TO --to text traffic migrate rollback'
  'STAGES --stages line traffic'
  'WORKS_WITH --works-with line migrate'
  'NO_WAIT --no-wait switch traffic'
  'PENDING --pending switch rollback'
  'LOCK_WAIT --lock-wait text rollback'
  'GATE --gate text rollback'
  'FORCE --force line preflight runner-check migrate rollback run'
  'REASON --reason text preflight runner-check traffic migrate incident rollback run'
  'ONLY --only line preflight runner-check healthgate traffic migrate incident rollback run'
  'SKIP --skip line preflight runner-check healthgate traffic migrate incident rollback run'
  'DRY_RUN --dry-run switch preflight runner-check healthgate traffic migrate incident rollback run'
  'REPORT --report text preflight runner-check healthgate traffic migrate incident rollback run'
  'HTML --html text preflight runner-check healthgate traffic migrate incident rollback run'
)

# The verdicts beside `pass`, which fail the step unless `fail-on` leaves them out.
readonly VERDICTS=(fail error inconclusive refused partial)

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

# Whether a text has something besides blanks.
holds() { # TEXT
  [[ $1 == *[![:space:]]* ]]
}

# An input's name as a workflow has it.
spelled() { # NAME
  tr '[:upper:]_' '[:lower:]-' <<<"$1"
}

# Refuses an input that this stage does not take: left out in silence it would seem to hold.
of_stage() { # NAME STAGE...
  local name=$1 one
  shift
  for one in "$@"; do
    if [[ $one == "$stage" ]]; then return; fi
  done
  refuse "the input \`$(spelled "$name")\` is not one that the stage \`$stage\` takes" "leave it out; it belongs to: $*"
}

# Adds the lines of a text to `lines`, without the blank ones.
lines_of() { # TEXT
  local line
  lines=()
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    if holds "$line"; then lines+=("$line"); fi
  done <<<"$1"
}

# Sets `action` to the stage's subcommand, and `flags` to what the inputs say, each as one argument.
choose_flags() {
  local row name flag how stages value lines line ends=$'\r\n'
  action=${INPUT_COMMAND:-}
  if holds "$action"; then
    of_stage COMMAND preflight runner-check healthgate traffic migrate incident rollback
    # With others, such as `--help`, the step would pass without a question.
    if [[ ! $action =~ ^[a-z]+(-[a-z]+)*$ || $action == help ]]; then
      refuse "\`$action\` is not a command of $stage" "name one, such as status for rollback; its arguments go into \`args\`"
    fi
  else
    action=''
  fi
  for row in "${FLAG_INPUTS[@]}"; do
    read -r name flag how stages <<<"$row"
    value=INPUT_$name
    value=${!value:-}
    if ! holds "$value"; then continue; fi
    # shellcheck disable=SC2086 # several words of our own
    of_stage "$name" $stages
    case $how in
      line)
        lines_of "$value"
        for line in "${lines[@]}"; do flags+=("$flag=$line"); done
        ;;
      switch)
        case $value in
          true) flags+=("$flag") ;;
          false) ;;
          *) refuse "the input \`$(spelled "$name")\` cannot be \`$value\`" 'it is true or false' ;;
        esac
        ;;
      *)
        # A block of YAML ends with a line break.
        flags+=("$flag=${value%"${value##*[!"$ends"]}"}")
        ;;
    esac
  done
  if holds "${INPUT_HEADER:-}"; then of_stage HEADER healthgate; fi
}

# Sets `failing` to the verdicts that fail the step.
choose_failing() {
  local lines line word words verdict known none='' newline=$'\n'
  failing=("${VERDICTS[@]}")
  if ! holds "${INPUT_FAIL_ON:-}"; then return; fi
  failing=()
  lines_of "${INPUT_FAIL_ON//,/$newline}"
  for line in ${lines[@]+"${lines[@]}"}; do
    read -r -a words <<<"$line"
    for word in "${words[@]}"; do
      known=''
      if [[ $word == none ]]; then known=yes none=yes; fi
      for verdict in "${VERDICTS[@]}"; do
        if [[ $word == "$verdict" ]]; then known=yes failing+=("$word"); fi
      done
      if [[ -z $known ]]; then
        refuse "fail-on cannot be \`$word\`" "name the verdicts that fail the step: ${VERDICTS[*]}; or none"
      fi
    done
  done
  if [[ -n $none && ${#failing[@]} -gt 0 ]]; then
    refuse "fail-on names \`none\` and \`${failing[0]}\`" 'name one of the two'
  fi
}

# Sets `command` to the program and, where one file holds all stages, the stage's name.
find_binary() {
  local name
  for name in deploy-guard "$stage"; do
    if has_binary "$name"; then
      command=("$folder/$name")
      if [[ $name == deploy-guard ]]; then command+=("$stage"); fi
      return
    fi
  done
  refuse "there is neither deploy-guard nor $stage in $folder" 'name the folder that holds the binaries, or leave bin-dir out'
}

# Hands the inputs to the binary by its own variables, where quotes and dashes mean nothing. An
# input that is empty leaves alone what the job's `env:` may say.
hand_over() {
  # No variable may have more than 128 KiB, and each has a longer name from here on.
  local name value
  for name in CONFIG ENVIRONMENT RELEASE HEADER; do
    value=INPUT_$name
    value=${!value:-}
    if ((${#value} > 30000)); then
      refuse "the input \`$(spelled "$name")\` has ${#value} characters" 'see what the workflow hands over: no name and no path is that long'
    fi
  done
  if [[ -n ${INPUT_CONFIG:-} ]]; then export DEPLOY_GUARD_CONFIG=$INPUT_CONFIG; fi
  if [[ -n ${INPUT_ENVIRONMENT:-} ]]; then export DEPLOY_GUARD_ENVIRONMENT=$INPUT_ENVIRONMENT; fi
  if [[ -n ${INPUT_RELEASE:-} ]]; then export DEPLOY_GUARD_RELEASE=$INPUT_RELEASE; fi
  # The only one that is often a secret: every user of a machine sees the arguments of a process.
  local arguments=${INPUT_ARGS:-} lines line headers=''
  if holds "${INPUT_HEADER:-}"; then
    lines_of "$INPUT_HEADER"
    headers=yes
    printf -v DEPLOY_GUARD_HEADER '%s\n' "${lines[@]}"
    export DEPLOY_GUARD_HEADER=${DEPLOY_GUARD_HEADER%?}
  fi
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
  unset "${!INPUT_@}" WORKFLOW_TOKEN
  lines_of "$arguments"
  if [[ -n $headers ]]; then
    for line in ${lines[@]+"${lines[@]}"}; do
      # The flag would win, in silence.
      if [[ $line == --header || $line == --header=* ]]; then
        refuse "there is \`--header\` in \`args\` beside the input \`header\`" "write all headers into the input \`header\`, one on each line"
      fi
    done
  fi
  if [[ -z $action && ${#lines[@]} -eq 0 ]]; then
    case $stage in
      rollback | migrate) action=run ;;
      traffic) action=ramp ;;
      incident) action=watch ;;
    esac
  fi
  if [[ -n $action ]]; then args+=("$action"); fi
  args+=(${lines[@]+"${lines[@]}"})
}

# On cancellation the runner signals this process alone. Before the stage is started, that ends it; later
# the stage has to hear of it in time to leave a journal that can be resumed. It hears it twice: a
# process that has only just been started does not heed the first, and no other heeds the second.
child='' begun='' asked=''
on_signal() { # SIGNAL CODE
  asked=$1
  if [[ -z $begun ]]; then exit "$2"; fi
  if [[ -z $child ]]; then return; fi
  kill -s "$1" "$child" 2>/dev/null || true
  (sleep 0.3 && kill -s "$1" "$child") &>/dev/null &
}
# Without a trap, bash forgets a SIGINT that comes while it waits for a program.
trap 'on_signal INT 130' INT
trap 'on_signal TERM 143' TERM

stage='' action='' command=() args=() flags=() failing=()
choose_stage
choose_flags
choose_failing
find_folder
find_binary
if [[ -n ${INPUT_VERSION:-} ]]; then check_version "${command[0]}"; fi
hand_over

begun=yes
# The long form, because the bash of macOS calls an empty list unset.
"${command[@]}" ${args[@]+"${args[@]}"} ${flags[@]+"${flags[@]}"} &
child=$!
if [[ -n $asked ]]; then on_signal "$asked" 0; fi
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
verdict=''
case $code in
  0 | 2 | 130 | 143) ;;
  1) verdict=fail ;;
  3) verdict=inconclusive ;;
  4) verdict=error ;;
  5) verdict=refused ;;
  6) verdict=partial ;;
  *) outputs "$code" "$stage ended with exit code $code, which is none of its own" || true ;;
esac
output exit-code "$code" || true
if [[ -n $verdict && " ${failing[*]-} " != *" $verdict "* ]]; then
  annotate warning "$stage: $verdict" "The step goes on: fail-on is ${failing[*]-none}"
  exit 0
fi
exit "$code"
