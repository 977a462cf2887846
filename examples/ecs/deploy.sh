#!/bin/sh
# Registers a new revision of the task definition with the release's image, and lets the service run
# it: ./deploy.sh v1.2.4
set -eu
definition=$(jq --arg image "$REPOSITORY:$1" \
  '(.containerDefinitions[] | select(.name == "shop")).image = $image' task-definition.json)
arn=$(aws ecs register-task-definition --cli-input-json "$definition" \
  --query taskDefinition.taskDefinitionArn --output text)
aws ecs update-service --cluster "$CLUSTER" --service shop --task-definition "$arn" \
  --query service.taskDefinition --output text
